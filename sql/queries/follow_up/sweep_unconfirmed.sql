-- sweep_unconfirmed: locks unconfirmed messages for which no evidence came until their watch's policy decides.
--
-- $1 now: the time
-- $2 limit: how many messages at most
select q.message_id, q.watch
  from rowbell.queue as q
 where q.state = 'unconfirmed'
   and q.due_at <= $1
   -- The last lookup of evidence comes first, unless it does not come at all.
   and (q.due_at <= $1 - interval '2 min'
        or not exists (
           -- Of a digest it is looked for once, for the message that carries the others.
           select
             from rowbell.message as m
             join rowbell.attempt as a on a.message_id = m.message_id and a.number = m.attempt_count
             join rowbell.unconfirmed_attempt as u
               on u.message_id = coalesce(a.carried_by, a.message_id) and u.number = coalesce(a.carried_number, a.number)
            where m.message_id = q.message_id and not u.is_late
        ))
 order by q.due_at
 limit $2
   for update of q skip locked;
