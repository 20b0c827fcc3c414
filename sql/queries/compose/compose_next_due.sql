-- compose_next_due: when the next message of channel $1 is due, among those of the watches $2.
select min(next.due_at) as due_at
  from unnest($2::text[]) as w (watch)
 cross join lateral (
       select q.due_at
         from rowbell.queue as q
        where q.state = 'open'
          and q.channel = $1
          and q.watch = w.watch
        order by q.due_at, q.message_id
        limit 1
 ) as next;
