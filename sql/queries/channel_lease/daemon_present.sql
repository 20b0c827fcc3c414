-- daemon_present: writes down that a daemon lives, and reads all that live: those that are connected, and not beyond
-- the time that they last wrote. told_at: the clock of the database.
--
-- $1 instance: the daemon
-- $2 name: by which people know it
-- $3 channels: names of the channels of its configuration
-- $4 now: the time
-- $5 alive_until: until when it counts as alive
with me as (
    insert into rowbell.daemon as d (instance, name, channels, started_at, alive_until)
    values ($1, $2, $3, $4, $5)
        on conflict (instance) do update
       set alive_until = excluded.alive_until
 returning d.instance, d.name, d.channels
), gone as (
    delete from rowbell.daemon as d
     where d.alive_until < $4 - interval '1 day'
)
select me.instance, me.name, me.channels, clock_timestamp() as told_at
  from me
union all
select d.instance, d.name, d.channels, clock_timestamp()
  from rowbell.daemon as d
 where d.instance <> $1
   and d.alive_until > $4
   and rowbell.is_connected(d.instance);
