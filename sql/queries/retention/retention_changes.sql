-- retention_changes: removes up to $3 changes made before $1 that no watch of the configuration ($2)
-- will ever take.
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
