-- compose_next_due: reads when the next message of a channel is due, among those of some watches.
--
-- $1 channel: name of the channel
-- $2 watches: names of the watches
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
