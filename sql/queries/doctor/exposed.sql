-- exposed: finds what everybody may read or call of rowbell, and trigger functions that cannot do their work.
with ours as (
    select n.oid, n.nspname, n.nspacl, n.nspowner
      from pg_catalog.pg_namespace as n where n.nspname in ('rowbell', 'rowbell_report')
)
select 'error' as severity, format('schema %s', o.nspname) as key,
       'is open to everybody, with the phones and names of customers' as what,
       array[format('revoke %s on schema %s from public', given.privilege_type, o.nspname)] as sql
  from ours as o cross join lateral aclexplode(o.nspacl) as given
 where given.grantee = 0
union all
select 'error', format('table %I.%I', o.nspname, c.relname), 'is open to everybody',
       array[format('revoke %s on %I.%I from public', given.privilege_type, o.nspname, c.relname)]
  from ours as o
  join pg_catalog.pg_class as c on c.relnamespace = o.oid and c.relkind in ('r', 'v')
 cross join lateral aclexplode(c.relacl) as given
 where given.grantee = 0
union all
select 'error', format('function %s', p.oid::regprocedure),
       format('belongs to %I, who may not write into rowbell.change: every change of its table fails', owner.rolname),
       array[format('alter function %s owner to %I', p.oid::regprocedure, schema_owner.rolname)]
  from ours as o
  join pg_catalog.pg_proc as p on p.pronamespace = o.oid and p.prosecdef and p.prorettype = 'trigger'::regtype
  join pg_catalog.pg_roles as owner on owner.oid = p.proowner
  join pg_catalog.pg_roles as schema_owner on schema_owner.oid = o.nspowner
 where not (has_schema_privilege(p.proowner, o.oid, 'usage')
            and has_table_privilege(p.proowner, 'rowbell.change', 'insert'));
