-- claim_open: locks the open messages of entities. Later changes fold into the one that is for all recipients, where
-- there is one; recipient_key tells it from those for one recipient, which compose joins.
--
-- The locks keep compose from leasing one of them.
--
-- $1 watches, $2 entity_keys: the entities
select m.message_id, q.watch, q.entity_key, q.state::text as queue_state,
       q.recipient_key, m.operation::text, m.old_row, m.first_changed_at, m.attempt_count, m.waits_for::text, q.due_at
  from unnest($1::text[], $2::text[]) as entity (watch, entity_key)
 -- One by one, by key: whatever the planner thinks of the size of the queue.
 cross join lateral (
       select q.message_id, q.watch, q.entity_key, q.recipient_key, q.state, q.due_at
         from rowbell.queue as q
        where q.watch = entity.watch and q.entity_key = entity.entity_key and q.state in ('open', 'held')
          for update of q
 ) as q
  join rowbell.message as m using (message_id);
