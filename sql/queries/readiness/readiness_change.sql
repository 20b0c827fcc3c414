-- readiness_change: reads the first change that is not claimed yet, in the order of capture.
--
-- $1 watches: the watches of the configuration; changes of others wait for nobody
select c.change_id, c.watch, c.changed_at
  from rowbell.change as c
 where c.watch = any ($1)
 order by c.change_id
 limit 1;
