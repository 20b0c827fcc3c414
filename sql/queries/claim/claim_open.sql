-- claim_open: locks the open messages of entities, which later changes fold into.
--
-- The locks keep compose from leasing one of them.
--
-- $1 watches, $2 entity_keys: the entities
select m.message_id, q.watch, q.entity_key, q.state::text as queue_state,
       m.operation::text, m.old_row, m.first_changed_at, m.attempt_count, m.waits_for::text, q.due_at
  from unnest($1::text[], $2::text[]) as entity (watch, entity_key)
  join rowbell.queue as q
    on q.watch = entity.watch and q.entity_key = entity.entity_key and q.state in ('open', 'held')
  join rowbell.message as m using (message_id)
   for update of q;
