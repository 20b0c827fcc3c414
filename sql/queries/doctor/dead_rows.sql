-- dead_rows: finds tables of rowbell that hold more dead rows than a claim should read past.
--
-- $1 dead: how many dead rows are nothing to speak of
select 'warning' as severity, format('table rowbell.%I', s.relname) as key,
       format('holds %s dead rows beside %s that live', s.n_dead_tup, s.n_live_tup) as what,
       array[format('vacuum (analyze) rowbell.%I', s.relname)] as sql
  from pg_catalog.pg_stat_all_tables as s
 where s.schemaname = 'rowbell' and s.n_dead_tup > $1::bigint and s.n_dead_tup > 2 * s.n_live_tup;
