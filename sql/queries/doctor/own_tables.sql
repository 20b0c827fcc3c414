-- own_tables: finds tables, indexes and triggers of rowbell that cannot do what they are for.
with relation as (
    select c.oid, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, c.reloptions, c.relowner,
           format('%I.%I', n.nspname, c.relname) as name, n.nspowner
      from pg_catalog.pg_class as c
      join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname in ('rowbell', 'rowbell_report')
)
select 'error' as severity, format('index %s', r.name) as key,
       'is invalid: an attempt to build it was broken off, and no query uses it' as what, array[format('reindex index %s', r.name)] as sql
  from relation as r
  join pg_catalog.pg_index as i on i.indexrelid = r.oid and not (i.indisvalid and i.indisready)
union all
select 'error', format('table %s', r.name), 'is unlogged: a crash of the server empties it, and what it held is lost',
       array[format('alter table %s set logged', r.name)]
  from relation as r where r.relkind = 'r' and r.relpersistence = 'u'
union all
select 'error', format('table %s', r.name), 'has row level security, which hides its rows from the daemon',
       array[format('alter table %s disable row level security', r.name)]
  from relation as r where r.relkind = 'r' and r.relrowsecurity
union all
select 'error', format('trigger %I of %s', t.tgname, r.name), 'is disabled',
       array[format('alter table %s enable trigger %I', r.name, t.tgname)]
  from relation as r
  join pg_catalog.pg_trigger as t on t.tgrelid = r.oid and t.tgenabled = 'D' and not t.tgisinternal
union all
select 'warning', format('table %s', r.name),
       'is not vacuumed automatically: its dead rows stay, and every claim reads past them',
       array[format('alter table %s reset (autovacuum_enabled)', r.name)]
  from relation as r
 where exists (select from unnest(r.reloptions) as o where o in ('autovacuum_enabled=false', 'autovacuum_enabled=off'))
union all
select 'warning', format('%s %s', case r.relkind when 'v' then 'view' else 'table' end, r.name),
       'belongs to another role than its schema, so that the next migrate cannot change it',
       array[format('alter table %s owner to %I', r.name, o.rolname)]
  from relation as r
  join pg_catalog.pg_roles as o on o.oid = r.nspowner
 where r.relkind in ('r', 'v') and r.relowner <> r.nspowner;
