-- missing_grants: reads what a role may not read or call of what some temporary views need, as the statements that
-- grant it.
--
-- $1 views: the views, in the schema of this session's temporary tables
-- $2 role: the role
-- $3 grantee: to whom the rights are to be granted
with needed as (
    select distinct d.refclassid, d.refobjid, d.refobjsubid
      from unnest($1::text[]) as v (name)
      join pg_catalog.pg_class as c on c.relname = v.name and c.relnamespace = pg_my_temp_schema()
      join pg_catalog.pg_rewrite as r on r.ev_class = c.oid
      join pg_catalog.pg_depend as d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
     where d.refobjid <> c.oid
), things as (
    select c.relnamespace as schema, format('select on %I.%I', n.nspname, c.relname) as granted,
           has_table_privilege(a.oid, c.oid, 'select')
           or (bool_or(d.refobjsubid > 0)
               and bool_and(d.refobjsubid = 0 or has_column_privilege(a.oid, c.oid, d.refobjsubid::int2, 'select'))) as is_free
      from needed as d
      join pg_catalog.pg_class as c on d.refclassid = 'pg_class'::regclass and c.oid = d.refobjid
      join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
      join pg_catalog.pg_roles as a on a.rolname = $2
     where c.relkind in ('r', 'p', 'v', 'm', 'f')
     group by c.oid, c.relnamespace, c.relname, n.nspname, a.oid
    union all
    select p.pronamespace, format('execute on function %s', p.oid::regprocedure),
           has_function_privilege(a.oid, p.oid, 'execute')
      from needed as d
      join pg_catalog.pg_proc as p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
      join pg_catalog.pg_roles as a on a.rolname = $2
), grants as (
    select distinct 1 as step, format('usage on schema %I', n.nspname) as granted
      from things as t
      join pg_catalog.pg_namespace as n on n.oid = t.schema
      join pg_catalog.pg_roles as a on a.rolname = $2
     where not has_schema_privilege(a.oid, n.oid, 'usage')
    union all
    select distinct 2, t.granted from things as t where not t.is_free
)
select format('grant %s to %I', g.granted, $3::text)
  from grants as g
 order by g.step, g.granted;
