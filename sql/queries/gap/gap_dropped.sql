-- gap_dropped: notes that changes were dropped because there was no room for them, whichever watch they were of.
--
-- $1 watches: the watches that drop changes
-- $2 now: the time
with dropped as (
    select d.last_value as total
      from rowbell.dropped as d
     where d.is_called and d.last_value > coalesce((select max(g.dropped_until) from rowbell.gap as g), 0)
)
insert into rowbell.gap (watch, cause, began_at, ended_at, dropped_until)
select w.watch, 'dropped', $2, $2, d.total
  from dropped as d, unnest($1::text[]) as w (watch)
returning watch;
