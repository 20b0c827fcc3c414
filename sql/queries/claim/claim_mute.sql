-- claim_mute: makes muted changes known. Everybody to whom the row belongs knows the columns that were changed; what was
-- changed before and not told yet is still to be told. Those who know of a row that was somebody else's meanwhile
-- learn nothing of it.
--
-- Of a change that was muted as it handed the row over, the new ones know the whole row, and those before know that it
-- is no longer theirs. Where nothing stands in the ledger and no message is open, there is nothing to do: the next change
-- is captured with this one in its row before.
--
-- $1 watches, $2 entity_keys: the entities
-- $3 changed: the columns that were changed, with their values; null: the row is gone
-- $4 new_rows: the whole row after the change
-- $5 is_new: whether the row came into being
-- $6 is_handover: whether a column of the recipient query changed
-- $7 recipient_columns: what the recipient query asks of the row before the change
-- $8 named_before, $9 named_after: the keys of those whom it names before and after; null: it could not be asked
with muted as (
    select *
      from unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $5::boolean[], $6::boolean[], $7::jsonb[], $8::jsonb[], $9::jsonb[])
           as m (watch, entity_key, changed, new_row, is_new, is_handover, recipient_columns, named_before, named_after)
), known as (
    update rowbell.last_told as t
       set row = case when t.recipient_key = '' or m.named_after is null
                      then rowbell.known_after_mute(t.row, m.changed, m.new_row, m.is_new, m.is_handover)
                      when not m.named_after ? t.recipient_key then null
                      when m.is_handover and not m.named_before ? t.recipient_key then m.new_row
                      else rowbell.known_after_mute(t.row, m.changed, m.new_row, m.is_new, false)
                 end
      from muted as m
     where t.watch = m.watch and t.entity_key = m.entity_key
       and case when t.recipient_key = ''
                then m.is_handover or rowbell.has_recipients(t.row, m.recipient_columns)
                else m.named_after is null or m.named_after ? t.recipient_key
                     or ((m.is_handover or m.new_row is null) and m.named_before ? t.recipient_key)
           end
)
update rowbell.message as o
   set old_row = rowbell.known_after_mute(o.old_row, m.changed, m.new_row, m.is_new, m.is_handover)
  from muted as m
 where o.watch = m.watch and o.entity_key = m.entity_key
   and o.state in ('waiting', 'scheduled', 'held', 'sending', 'unconfirmed')
   and (m.is_handover or rowbell.has_recipients(o.old_row, m.recipient_columns));
