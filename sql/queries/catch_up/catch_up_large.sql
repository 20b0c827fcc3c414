-- catch_up_large: sets the changes that this transaction has written aside, for a hold.
--
-- $1 watch: name of the watch
-- $2 hold_id: the hold
-- $3 above: only changes with ids above this
insert into rowbell.large_transaction (watch, transaction_id, first_change_id, last_change_id, hold_id, entity_count)
select $1, pg_current_xact_id(), min(c.change_id), max(c.change_id), $2, count(distinct c.entity_key)
  from rowbell.change as c
 where c.watch = $1 and c.change_id > $3 and c.transaction_id = pg_current_xact_id();
