-- claim_rename: the primary key of an entity changed from $2 to $3; its messages follow.
--
-- Rare. An open message of the new key, if there is one, stays as it is: the caller folds into it.
with queued as (
    update rowbell.queue as q
       set entity_key = $3
     where q.watch = $1 and q.entity_key = $2
       and not exists (
           select from rowbell.queue as other
            where other.watch = $1 and other.entity_key = $3 and other.state in ('open', 'held')
       )
)
update rowbell.message
   set entity_key = $3,
       updated_at = $4,
       updated_by = 'claim_rename'
 where watch = $1 and entity_key = $2;
