-- sweep_unconfirmed: up to $2 unconfirmed messages for which no evidence came until $1.
select q.message_id, q.watch
  from rowbell.queue as q
 where q.state = 'unconfirmed'
   and q.due_at <= $1
   -- The last look for evidence comes first, unless it does not come at all.
   and (q.due_at <= $1 - interval '2 min'
        or not exists (select from rowbell.unconfirmed_attempt as d where d.message_id = q.message_id and not d.is_late))
 order by q.due_at
 limit $2
   for update of q skip locked;
