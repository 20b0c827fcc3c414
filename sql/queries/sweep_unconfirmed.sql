-- sweep_unconfirmed: up to $2 messages in doubt for which no evidence came until $1.
select q.message_id, q.watch
  from rowbell.queue as q
 where q.state = 'unconfirmed'
   and q.due_at <= $1
 order by q.due_at
 limit $2
   for update of q skip locked;
