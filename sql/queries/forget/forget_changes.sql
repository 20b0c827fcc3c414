-- forget_changes: reads changes that are not folded yet; the table is small.
select c.change_id, c.watch, c.entity_key, coalesce(c.new_row, c.old_row) as captured
  from rowbell.change_row as c
 where c.entity_key is not null;
