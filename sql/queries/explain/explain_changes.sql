-- explain_changes: reads the changes of an entity that are not folded yet.
--
-- $1 watch, $2 entity_key: the entity
select c.change_id, c.operation::text, c.old_row, c.new_row, c.changed_at, c.changed_by,
       c.mute_reason, c.capture_error
  from rowbell.change_row as c
 where c.watch = $1 and c.entity_key = $2
 order by c.change_id;
