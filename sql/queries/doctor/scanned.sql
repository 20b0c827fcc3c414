-- scanned: reads what a table is that a plan names: a partition stands for its table.
--
-- $1 schema, $2 name: the table
select format('%I.%I', n.nspname, c.relname) as table_name,
       pg_catalog.pg_table_size(s.oid) as bytes,
       c.relkind = 'p' as is_partitioned,
       array(select a.attname::text from pg_catalog.pg_attribute as a
              where a.attrelid = s.oid and a.attnum > 0 and not a.attisdropped) as columns
  from pg_catalog.pg_class as s
  join pg_catalog.pg_namespace as m on m.oid = s.relnamespace and m.nspname = $1::text
  join pg_catalog.pg_class as c on c.oid = coalesce(pg_catalog.pg_partition_root(s.oid), s.oid)
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
 where s.relname = $2::text;
