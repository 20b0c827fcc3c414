-- recipient_children: which of some tables have a foreign key to a watched table.
--
-- $1 table: oid of the watched table
-- $2 tables: qualified and quoted names
select distinct format('%I.%I', n.nspname, c.relname) as child
  from pg_constraint as k
  join pg_class as c on c.oid = k.conrelid
  join pg_namespace as n on n.oid = c.relnamespace
 where k.contype = 'f' and k.confrelid = $1 and k.conrelid <> $1
   and k.conrelid in (select to_regclass(asked.name) from unnest($2::text[]) as asked (name))
 order by child;
