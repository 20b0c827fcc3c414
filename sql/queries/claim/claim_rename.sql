-- claim_rename: lets the messages of an entity follow when its primary key changes.
--
-- Rare. An open message of the new key, if there is one, stays as it is: the caller folds into it.
--
-- $1 watch: name of the watch
-- $2 old_key, $3 new_key: the primary key before and after
-- $4 now: the time
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
