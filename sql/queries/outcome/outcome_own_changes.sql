-- outcome_own_changes: counts the changes of a watch that this transaction has made.
--
-- $1 watch: which
select count(*) as changes
  from rowbell.change as c
 where c.transaction_id = pg_current_xact_id() and c.watch = $1;
