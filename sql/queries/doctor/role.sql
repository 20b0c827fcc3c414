-- role: finds what the daemon's role may do and does not need, and what it needs to keep its sessions.
--
-- $1 watched: the watched tables
-- $2 sessions: how many sessions a daemon has
with me as (
    select r.*, quote_ident(r.rolname) as name from pg_catalog.pg_roles as r where r.rolname = current_user
), watched as (
    select c.oid, c.relacl, c.relowner, c.oid::regclass::text as name
      from unnest($1::oid[]) as w (oid) join pg_catalog.pg_class as c using (oid)
), spare (right_name, has, way) as (
    select s.right_name, s.has, s.way
      from me
     cross join lateral (values ('superuser', me.rolsuper, 'nosuperuser'),
                                ('createrole', me.rolcreaterole, 'nocreaterole'),
                                ('createdb', me.rolcreatedb, 'nocreatedb'),
                                ('replication', me.rolreplication, 'noreplication')) as s (right_name, has, way)
)
select 'warning' as severity, format('role %s', me.name) as key,
       format('has %s, which the daemon does not need', spare.right_name) as what,
       array[format('alter role %s %s', me.name, spare.way)] as sql
  from me join spare on spare.has
union all
select 'warning', format('role %s', me.name), format('is in %s, which the daemon does not need', granted.rolname),
       array[format('revoke %I from %I', granted.rolname, member.rolname)]
  from me
  join pg_catalog.pg_roles as granted
    on granted.rolname in ('pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
                           'pg_execute_server_program', 'pg_signal_backend')
  join pg_catalog.pg_auth_members as m on m.roleid = granted.oid
  join pg_catalog.pg_roles as member on member.oid = m.member and pg_has_role(me.oid, member.oid, 'member')
 where not me.rolsuper
union all
select 'warning', format('role %s', me.name),
       format('may write to %s, which the daemon only reads', watched.name),
       array_agg(format('revoke %s on %s from %s', given.privilege_type, watched.name,
                        coalesce(quote_ident(grantee.rolname), 'public')))
  from me
 cross join watched
 cross join lateral aclexplode(watched.relacl) as given
  left join pg_catalog.pg_roles as grantee on grantee.oid = given.grantee
 where not me.rolsuper and given.privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
   and given.grantee <> watched.relowner
   and (given.grantee = 0 or pg_has_role(me.oid, given.grantee, 'usage'))
 group by me.name, watched.name
union all
select 'error', format('role %s', me.name),
       format('may have %s sessions at once, and a daemon needs %s', me.rolconnlimit, $2::integer),
       array[format('alter role %s connection limit -1', me.name)]
  from me where me.rolconnlimit >= 0 and me.rolconnlimit < $2::integer and not me.rolsuper
union all
select 'warning', format('role %s', me.name),
       format('cannot log in after %s, when its password ends', me.rolvaliduntil::timestamptz(0)),
       array[format('alter role %s valid until ''infinity''', me.name)]
  from me where me.rolvaliduntil < now() + interval '30 days'
union all
select 'note', format('role %s', me.name),
       'may make no temporary views, by which the grants that watches miss are found',
       array[format('grant temporary on database %I to %s', current_database(), me.name)]
  from me where not has_database_privilege(me.oid, current_database(), 'temporary');
