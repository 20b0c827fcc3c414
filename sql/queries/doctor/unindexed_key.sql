-- unindexed_key: reads how large a table is by whose key no index leads to a row; nothing where one does.
--
-- $1 table: the table
-- $2 key: the columns of its key
-- $3 bytes: how large a table may be that is read in whole
select pg_catalog.pg_table_size(c.oid) + coalesce(parts.bytes, 0)::bigint as bytes, c.relkind = 'p' as is_partitioned
  from pg_catalog.pg_class as c
 cross join lateral (
       select sum(pg_catalog.pg_table_size(p.relid)) as bytes
         from pg_catalog.pg_partition_tree(c.oid) as p where p.relid <> c.oid
  ) as parts
 where c.oid = $1::oid
   and pg_catalog.pg_table_size(c.oid) + coalesce(parts.bytes, 0) >= $3::bigint
   and not exists (
       select from pg_catalog.pg_index as i
         join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = c.oid and i.indisvalid and i.indpred is null and a.attname::text = any ($2::text[])
   );
