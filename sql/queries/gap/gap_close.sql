-- gap_close: notes that somebody has caught up with a watch after its gaps.
--
-- $1 watch: name of the watch
-- $2 now: the time
update rowbell.gap
   set caught_up_at = $2
 where watch = $1 and caught_up_at is null and ended_at is not null;
