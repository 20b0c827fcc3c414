-- status_installation: reads whether the doorbell is parked, how full the server's queue of notifications is, and
-- who else is connected under our name.
--
-- The name of a session can be seen by everybody; since when it is there only by its own role and by
-- monitors (pg_read_all_stats), so connected_since may be null although somebody is connected.
select bell.last_value = 2 as is_parked,
       pg_notification_queue_usage() as notification_queue_usage,
       daemon.sessions,
       daemon.connected_since
  from rowbell.doorbell as bell
 cross join (
       select count(*) as sessions, min(a.backend_start) as connected_since
         from pg_catalog.pg_stat_activity as a
        where a.datname = current_database()
          and a.application_name = current_setting('application_name')
          and a.pid <> pg_backend_pid()
  ) as daemon;
