-- sessions: finds what keeps dead rows from being removed, the log of the server from being recycled, and sessions from
-- being opened.
--
-- $1 seconds: how long a transaction may last
-- $2 bytes: how much of its log the server may keep for a slot that nobody reads
-- $3 queue: how full the queue of notifications may be, 0 to 1
with old as (
    select a.pid, a.usename, a.state, a.application_name, now() - a.xact_start as age
      from pg_catalog.pg_stat_activity as a
     where a.datname = current_database() and a.pid <> pg_backend_pid()
       and a.xact_start < clock_timestamp() - make_interval(secs => $1::float8)
       and a.backend_type = 'client backend'
)
select 'warning' as severity, format('session %s', o.pid) as key,
       format('of %s (%s) has had a transaction open for %s min, %s: no row that died since can be removed',
              o.usename, coalesce(nullif(o.application_name, ''), 'no name'), floor(extract(epoch from o.age) / 60), o.state) as what,
       array[format('select pg_terminate_backend(%s)', o.pid)] as sql
  from old as o
union all
select 'warning', format('prepared transaction %s', p.gid),
       format('was left open %s min ago: no row that died since can be removed, and its locks are held',
              floor(extract(epoch from now() - p.prepared) / 60)),
       array[format('rollback prepared %L', p.gid)]
  from pg_catalog.pg_prepared_xacts as p
 where p.database = current_database() and p.prepared < clock_timestamp() - make_interval(secs => $1::float8)
union all
select 'warning', format('replication slot %s', s.slot_name),
       format('is read by nobody: the server keeps %s of its log for it', pg_size_pretty(kept.bytes)),
       array[format('select pg_drop_replication_slot(%L)', s.slot_name)]
  from pg_catalog.pg_replication_slots as s
 cross join lateral (
       select case when pg_is_in_recovery() then 0
                   else pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) end as bytes
  ) as kept
 where not s.active and kept.bytes >= $2::float8::numeric
union all
select 'error', 'queue of notifications',
       format('is %s %% full; once it is full, every transaction that rings fails, those of the business too%s',
              round(pg_notification_queue_usage()::numeric * 100, 1),
              '. Session ' || o.pid || ' has had a transaction open for the longest time'),
       array[coalesce('select pg_terminate_backend(' || o.pid || ')',
                      'select pg_terminate_backend(pid) from (select pid from pg_stat_activity where xact_start is not null '
                      'and pid <> pg_backend_pid() and backend_type = ''client backend'' order by xact_start limit 1) as oldest')]
  from (select 1) as always
  -- Who sees his own sessions only would name one of the daemon.
  left join (select a.pid from pg_catalog.pg_stat_activity as a
              where a.xact_start is not null and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
                and pg_has_role('pg_read_all_stats', 'usage')
              order by a.xact_start limit 1) as o on true
 where pg_notification_queue_usage() > $3::float8
union all
select 'warning', 'max_connections',
       format('%s of %s connections are taken', taken.sessions, current_setting('max_connections')),
       array['select pid, usename, application_name, state, state_change from pg_stat_activity order by state_change']
  -- These are counted for everybody; of the sessions themselves one sees one's own.
  from (select sum(numbackends) as sessions from pg_catalog.pg_stat_database) as taken
 where taken.sessions > 0.9 * current_setting('max_connections')::integer;
