-- claim_bound: takes the right to claim, and reads how far change ids were given out, the oldest transaction
-- that still runs, and the watches of which changes are set aside, with the last of those.
--
-- Runs first in the transaction of a claim, before that transaction has an id of its own. Every
-- change id up to given_out was taken by a transaction whose id is smaller than the one that the
-- claim is about to get; once oldest_running has passed that id, no change up to given_out can
-- still appear. See pipeline/claim/scan_bound.rs.
--
-- $1 claim_lock: key of the advisory lock
select pg_try_advisory_xact_lock($1) as is_mine,
       s.last_value as given_out,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint as oldest_running,
       array(select distinct l.watch from rowbell.large_transaction as l) as apart,
       coalesce((select max(l.last_change_id) from rowbell.large_transaction as l), 0) as apart_until
  from rowbell.change_change_id_seq as s;
