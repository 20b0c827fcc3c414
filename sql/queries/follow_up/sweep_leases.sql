-- sweep_leases: locks messages whose lease ran out. Their daemon died or hangs; whether the request went out is not
-- known; of a dry run it did not.
--
-- $1 now: the time
-- $2 limit: how many messages at most
select q.message_id, m.attempt_count as attempt, q.is_dry_run, coalesce(a.carried_by is not null, false) as is_carried
  from rowbell.queue as q
  join rowbell.message as m using (message_id)
  left join rowbell.attempt as a on a.message_id = m.message_id and a.number = m.attempt_count
 where q.state = 'leased'
   and q.lease_expires_at <= $1
 order by q.lease_expires_at
 limit $2
   for update of q skip locked;
