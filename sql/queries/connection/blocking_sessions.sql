-- blocking_sessions: reads who holds locks on tables that we waited for in vain, the longest transaction first. A role that
-- may not see the sessions of others learns no times.
--
-- $1 tables: oids of the tables; null: those of rowbell
select a.pid,
       coalesce(a.application_name, '') as application,
       coalesce(a.usename::text, '') as role,
       to_char(a.xact_start, 'YYYY-MM-DD HH24:MI:SS TZH:TZM') as since,
       to_char(a.query_start, 'YYYY-MM-DD HH24:MI:SS TZH:TZM') as query_since
  from pg_catalog.pg_stat_activity as a
 where a.pid <> pg_backend_pid()
   and a.pid in (
       select l.pid
         from pg_catalog.pg_locks as l
        where l.granted
          and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
          and case when $1::oid[] is null
                   then l.relation in (select c.oid
                                         from pg_catalog.pg_class as c
                                         join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
                                        where n.nspname in ('rowbell', 'rowbell_report'))
                   else l.relation = any ($1)
              end
   )
 order by a.xact_start nulls last
 limit 3;
