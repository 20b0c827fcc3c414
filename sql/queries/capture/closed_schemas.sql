-- closed_schemas: reads the schemas that queries name and a role may not look into, as the statements that let it.
--
-- $1 queries: the queries
-- $2 role: the role
-- $3 grantee: to whom the rights are to be granted
select format('grant usage on schema %I to %I', n.nspname, $3::text)
  from pg_catalog.pg_namespace as n
  join pg_catalog.pg_roles as a on a.rolname = $2
 where not has_schema_privilege(a.oid, n.oid, 'usage')
   and exists (select from unnest($1::text[]) as q (sql)
                where q.sql ~ ('(^|[^[:alnum:]_])"?' || regexp_replace(n.nspname, '([^[:alnum:]_])', '\\\1', 'g') || '"?[.]'))
 order by 1;
