-- compose_next_due: when the next message of channel $1 is due, but for the paused watches $2.
select q.due_at
  from rowbell.queue as q
 where q.state = 'open'
   and q.channel = $1
   and q.watch <> all ($2)
 order by q.due_at, q.message_id
 limit 1;
