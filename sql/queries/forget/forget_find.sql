-- forget_find: finds messages that name a phone (is_theirs), or that name nobody, so that the recipient query has
-- to be asked whose they are.
--
-- A scan along the primary key, in batches: there is no index on phones, and forgetting is rare.
--
-- $1 above, $2 to: only messages with ids above the first and up to the second
-- $3 phones: the phone in all its forms
with looked as (
    select m.message_id, m.watch, m.entity_key, m.old_row, m.new_row, m.recipient_phone,
           coalesce(m.recipient_phone = any ($3) or m.recipient_key = any ($3), false)
           or exists (
               select
                 from (values (m.old_row), (m.new_row)) as stored (row)
                cross join lateral jsonb_each_text(
                      case when jsonb_typeof(stored.row) = 'object' then stored.row end
                ) as field
                where length(field.value) < 40
                  and regexp_replace(field.value, '[^0-9]', '', 'g') = any ($3)
           ) as is_theirs
      from rowbell.message as m
     where m.message_id > $1
       and m.message_id <= $2
       and m.redacted_at is null
)
select l.message_id, l.watch, l.entity_key, coalesce(l.new_row, l.old_row) as captured, l.is_theirs
  from looked as l
 where l.is_theirs or l.recipient_phone is null;
