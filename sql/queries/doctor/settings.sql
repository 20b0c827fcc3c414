-- settings: finds settings of roles, the database or the server that make writers or autovacuum pass rowbell by.
with setting as (
    select split_part(one, '=', 1) as name, substr(one, strpos(one, '=') + 1) as value,
           case when s.setrole = 0 then format('alter database %I reset %%s', d.datname)
                when s.setdatabase = 0 then format('alter role %I reset %%s', r.rolname)
                else format('alter role %I in database %I reset %%s', r.rolname, d.datname) end as way,
           case when s.setrole = 0 then 'every session of this database'
                else format('every session of role %s', r.rolname) end as who
      from pg_catalog.pg_db_role_setting as s
      left join pg_catalog.pg_roles as r on r.oid = s.setrole
      left join pg_catalog.pg_database as d on d.oid = s.setdatabase
     cross join unnest(s.setconfig) as one
     where s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
)
select 'error' as severity, 'session_replication_role' as key,
       format('%s writes without triggers, so that nothing of it is recorded', s.who) as what,
       array[format(s.way, s.name)] as sql
  from setting as s where s.name = 'session_replication_role' and s.value = 'replica'
union all
select 'error', 'rowbell.mute', format('%s is muted, so that nobody is told of what it changes', s.who),
       array[format(s.way, s.name)]
  from setting as s where s.name = 'rowbell.mute' and s.value <> ''
union all
select 'warning', p.name,
       'is off on this server: dead rows stay, and every claim reads past them',
       array[format('alter system reset %s', p.name), 'select pg_reload_conf()']
  from pg_catalog.pg_settings as p
 where p.name in ('autovacuum', 'track_counts') and p.setting = 'off';
