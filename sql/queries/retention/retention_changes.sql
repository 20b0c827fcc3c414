-- retention_changes: removes old changes that no watch of the configuration will ever take.
--
-- $1 before: only changes that were made before this
-- $2 watches: the watches of the configuration
-- $3 limit: how many changes at most
delete from rowbell.change
 where change_id = any (array(
       select c.change_id
         from rowbell.change as c
        where c.changed_at < $1
          and c.watch <> all ($2)
        order by c.change_id
        limit $3
 ))
returning change_id;
