-- compose_soon: takes open messages of a watch that a digest may say with others: what is due, and what is due soon and waits
-- for nothing but its quiet period or the limit of its recipient.
--
-- Called by pipeline/compose/digest.rs. Reads queue_fair_idx. Skips rows that somebody else is taking.
--
-- $1 channel: name of the channel
-- $2 watch: name of the watch
-- $3 now: the time
-- $4 until: those that are due by then
-- $5 known: messages that are taken already
-- $6 limit: how many messages at most
select q.message_id, q.due_at, q.watch, q.entity_key,
       m.operation::text, m.old_row, m.new_row, m.change_count, m.first_changed_at, m.last_changed_at,
       m.attempt_count, m.fallback_of, q.recipient_key, m.changed_by
  from rowbell.queue as q
  join rowbell.message as m using (message_id)
 where q.state = 'open'
   and q.channel = $1
   and q.watch = $2
   and q.due_at <= $4
   and (q.due_at <= $3 or m.state = 'waiting' or m.waits_for = 'per_recipient_limit')
   and q.message_id <> all ($5)
 order by q.due_at, q.message_id
 limit $6
   for update of q skip locked;
