-- capture_triggers: reads every trigger of ours, on whatever table, whether its watch is in the configuration or not.
--
-- A trigger is known by its function, because somebody may rename it. Those that a partition has from its table go
-- with that one; those on tables of rowbell itself record no change of the business.
select t.tgname::text as trigger_name,
       t.tgargs as arguments,
       t.tgtype::integer as events,
       t.tgenabled::text as firing,
       c.oid as table_oid,
       format('%I.%I', s.nspname, c.relname) as table_name
  from pg_proc as p
  join pg_namespace as n on n.oid = p.pronamespace and n.nspname = 'rowbell'
  join pg_trigger as t on t.tgfoid = p.oid and not t.tgisinternal and t.tgparentid = 0
  join pg_class as c on c.oid = t.tgrelid
  join pg_namespace as s on s.oid = c.relnamespace and s.oid <> n.oid
 order by c.oid, t.tgname;
