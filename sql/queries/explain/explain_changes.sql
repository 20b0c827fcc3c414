-- explain_changes: changes of the entity ($1 watch, $2 key) that are not folded yet.
select c.change_id, c.operation::text, c.old_row, c.new_row, c.changed_at, c.changed_by,
       c.mute_reason, c.capture_error
  from rowbell.change_row as c
 where c.watch = $1 and c.entity_key = $2
 order by c.change_id;
