-- claim_rename: lets the messages of entities follow when primary keys change, all at once.
--
-- Rare. An open message of a new key that does not move itself stays as it is: the caller folds into it. See
-- claim_rename_out.
--
-- $1 watches, $2 old_keys, $3 new_keys: the entities, with the primary keys before and after
-- $4 now: the time
with renamed as (
    select * from unnest($1::text[], $2::text[], $3::text[]) as r (watch, old_key, new_key)
), queued as (
    update rowbell.queue as q
       set entity_key = case when exists (
               select from rowbell.queue as other
                where other.watch = r.watch and other.entity_key = r.new_key and other.state in ('open', 'held')
           ) then r.old_key else r.new_key end
      from renamed as r
     where q.watch = r.watch and q.entity_key = chr(1) || r.old_key
), replaced as (
    -- What is known of a row that had the new key before, and has it no more.
    delete from rowbell.last_told as t
     using renamed as r
     where t.watch = r.watch and t.entity_key = r.new_key
       and not exists (select from renamed as other where other.watch = t.watch and other.old_key = t.entity_key)
), known as (
    update rowbell.last_told as t
       set entity_key = r.new_key
      from renamed as r
     where t.watch = r.watch and t.entity_key = r.old_key
)
update rowbell.message as m
   set entity_key = r.new_key,
       updated_at = $4,
       updated_by = 'claim_rename'
  from renamed as r
 where m.watch = r.watch and m.entity_key = r.old_key;
