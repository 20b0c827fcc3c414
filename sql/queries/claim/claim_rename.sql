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
)
update rowbell.message as m
   set entity_key = r.new_key,
       updated_at = $4,
       updated_by = 'claim_rename'
  from renamed as r
 where m.watch = r.watch and m.entity_key = r.old_key;
