-- claim_mute: makes muted changes known. Everybody who knows of an entity knows the columns that were changed; what was
-- changed before and not told yet is still to be told.
--
-- Of a change that was muted as it handed the row over, everybody knows the whole row: the next one must not be
-- told what it held for the one before. Where nothing stands in the ledger and no message is open, there is nothing
-- to do: the next change is captured with this one in its row before.
--
-- $1 watches, $2 entity_keys: the entities
-- $3 changed: the columns that were changed, with their values; null: the row is gone
-- $4 new_rows: the whole row after the change
-- $5 is_new: whether the row came into being
-- $6 is_handover: whether a column of the recipient query changed
with muted as (
    select *
      from unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::boolean[], $6::boolean[])
           as m (watch, entity_key, changed, new_row, is_new, is_handover)
), known as (
    update rowbell.last_told as t
       set row = rowbell.known_after_mute(t.row, m.changed, m.new_row, m.is_new, m.is_handover)
      from muted as m
     where t.watch = m.watch and t.entity_key = m.entity_key
)
update rowbell.message as o
   set old_row = rowbell.known_after_mute(o.old_row, m.changed, m.new_row, m.is_new, m.is_handover)
  from muted as m
 where o.watch = m.watch and o.entity_key = m.entity_key
   and o.state in ('waiting', 'scheduled', 'held', 'sending', 'unconfirmed');
