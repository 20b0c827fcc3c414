-- compose_due: up to $5 open messages of channel $1 that are due at $2, above the bound ($3, $4), but
-- none of the paused watches $6.
--
-- Called by pipeline/compose.rs. Reads queue_due_idx. Skips rows that another daemon is taking.
-- The bound keeps the scan from walking entries of rows that have left; a scan from the beginning
-- now and again proves it right.
select q.message_id, q.due_at, q.watch, q.entity_key,
       m.operation::text, m.old_row, m.new_row, m.first_changed_at, m.attempt_count, m.fallback_of
  from rowbell.queue as q
  join rowbell.message as m using (message_id)
 where q.state = 'open'
   and q.channel = $1
   and q.due_at <= $2
   and q.watch <> all ($6)
   and (q.due_at, q.message_id) > ($3, $4)
 order by q.due_at, q.message_id
 limit $5
   for update of q skip locked;
