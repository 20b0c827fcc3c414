-- own_schema: finds what of the schemas of rowbell is gone or was changed.
--
-- A view is not compared: the server writes it in another way after an upgrade. What somebody added is theirs.
with known as (
    select o.kind, o.name, o.definition, n.definition as found
      from rowbell.schema_object as o
      left join rowbell.schema_object_now as n using (kind, name)
)
select * from (
select 'error' as severity, format('%s %s', k.kind, k.name) as key,
       case k.kind when 'right' then 'was given by migrate and is gone'
                   else 'is gone, although migrate has made it' end as what,
       case k.definition when '' then '{}'::text[] else array[k.definition] end as sql
  from known as k
 where k.found is null
   -- The rights of a role that is gone come back with it.
   and (k.kind <> 'right'
        or exists (select from pg_catalog.pg_roles as r where k.name like '% of ' || quote_ident(r.rolname)))
union all
select 'error', format('function %s', k.name), 'is not as migrate has made it', array[k.definition]
  from known as k where k.kind = 'function' and k.found <> k.definition
) as found
 -- Rights are given on what is there.
 order by severity, key like 'right %', key;
