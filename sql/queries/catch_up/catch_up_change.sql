-- catch_up_change: writes changes as if they had been captured.
--
-- $1 watch: name of the watch
-- $2 entity_keys, $3 operations: the entities, and what happened to them
-- $4 old_rows, $5 new_rows: the row that was told last, and the row as it is
insert into rowbell.change (watch, entity_key, operation, old_row, new_row)
select $1, c.entity_key, c.operation::rowbell.change_operation, c.old_row, c.new_row
  from unnest($2::text[], $3::text[], $4::jsonb[], $5::jsonb[]) as c (entity_key, operation, old_row, new_row);
