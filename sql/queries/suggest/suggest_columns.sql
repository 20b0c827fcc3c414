-- suggest_columns: reads the columns of all tables of the business: type, nullable, generated, labels of an enum.
--
-- Called by suggest/catalog.rs for "rowbell suggest". Partitions are left out: their table speaks for them.
select c.oid, format('%I.%I', n.nspname, c.relname), c.relname::text, a.attname::text, quote_ident(a.attname),
       format_type(base.oid, a.atttypmod), not a.attnotnull, a.attgenerated <> '',
       array(select e.enumlabel::text from pg_enum as e where e.enumtypid = base.oid order by e.enumsortorder)
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type as t on t.oid = a.atttypid
 cross join lateral (select coalesce(nullif(t.typbasetype, 0), t.oid) as oid) as base
 where c.relkind in ('r', 'p')
   and not c.relispartition
   and n.nspname !~ '^(pg_|information_schema$|rowbell)'
 order by c.oid, a.attnum;
