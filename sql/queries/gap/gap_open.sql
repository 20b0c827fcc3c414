-- gap_open: reads the gaps that nobody has caught up with.
select g.watch, g.cause::text, g.began_at, g.ended_at
  from rowbell.gap as g
 where g.caught_up_at is null
 order by g.gap_id;
