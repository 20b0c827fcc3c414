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
        or not exists (select from rowbell.unconfirmed_attempt as u where u.message_id = q.message_id and not u.is_late))
 order by q.due_at
 limit $2
   for update of q skip locked;
