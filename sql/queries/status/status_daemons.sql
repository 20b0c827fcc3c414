-- status_daemons: reads the daemons that live, the first one first.
--
-- $1 now: the time
select d.instance, d.name, d.channels, d.started_at
  from rowbell.daemon as d
 where d.alive_until > $1
   and rowbell.is_connected(d.instance)
 order by d.started_at, d.instance;
