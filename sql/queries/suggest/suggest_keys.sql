-- suggest_keys: reads what identifies rows, and where foreign keys lead: kind p (primary), u (unique) or f.
--
-- Called by suggest/catalog.rs. Foreign keys of partitions are those of their table.
select i.indrelid, case when i.indisprimary then 'p' else 'u' end,
       array(select a.attname::text
               from unnest(i.indkey) with ordinality as k (attnum, position)
               join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
              where k.position <= i.indnkeyatts
              order by k.position),
       null::oid, null::text[]
  from pg_index as i
  join pg_class as c on c.oid = i.indrelid and c.relnamespace <> 'pg_catalog'::regnamespace
 where i.indisunique and i.indpred is null and i.indexprs is null
union all
select f.conrelid, 'f',
       array(select a.attname::text
               from unnest(f.conkey) with ordinality as k (attnum, position)
               join pg_attribute as a on a.attrelid = f.conrelid and a.attnum = k.attnum
              order by k.position),
       f.confrelid,
       array(select a.attname::text
               from unnest(f.confkey) with ordinality as k (attnum, position)
               join pg_attribute as a on a.attrelid = f.confrelid and a.attnum = k.attnum
              order by k.position)
  from pg_constraint as f
 where f.contype = 'f' and f.conparentid = 0;
