-- 01_schema: the two schemas, the installation, and the words that several tables share.
--
-- Schema rowbell is the machine: its tables may change with any release.
-- Schema rowbell_report is the promise to analysts: views only; columns are added, never renamed.
--
-- Names, keys, phones and ids are compared byte by byte (collate "C"), whatever the database compares other texts by: they
-- are no words of a language, and each look into an index costs twice as much by the rules of one (measured with ICU's for
-- English: 12 against 6 µs for a key of three texts).

create schema rowbell;
comment on schema rowbell is
    'The machine of rowbell: changes, messages, attempts, receipts. May change with any release; read rowbell_report instead.';

create schema rowbell_report;
comment on schema rowbell_report is
    'What rowbell promises to analysts: views whose columns are added, never renamed.';


-- Which installation this database belongs to. A restored copy of a production database carries
-- this row along, while the server under it is another one: the daemon compares and refuses to send.
create table rowbell.installation (
    -- One row only: the primary key can hold just one value.
    is_only            boolean not null default true primary key,

    schema_version     integer not null,
    -- Null: that of the schema.
    oldest_daemon      integer,
    environment        text,
    system_identifier  text,
    database_oid       oid,

    installed_at       timestamptz not null default now(),
    updated_at         timestamptz not null default now(),

    constraint one_installation_per_database check (is_only)
);
comment on table  rowbell.installation is 'One row: which schema version this is, and which environment and server it was installed for.';
comment on column rowbell.installation.is_only is 'Always true; makes a second row impossible.';
comment on column rowbell.installation.schema_version is 'Number of the last migration that was applied.';
comment on column rowbell.installation.oldest_daemon is 'Oldest schema version whose daemons this schema still serves, so that daemons are exchanged one by one.';
comment on column rowbell.installation.environment is 'Name of the environment as configured when the daemon first ran, such as production.';
comment on column rowbell.installation.system_identifier is 'Identifier of the database server when the daemon first ran (pg_control_system), if it may be read.';
comment on column rowbell.installation.database_oid is 'Object id of this database when the daemon first ran; a copy has another one.';
comment on column rowbell.installation.installed_at is 'When the schema was created.';
comment on column rowbell.installation.updated_at is 'When this row was last written.';


-- What turns phones, keys and names of staff into hashes for those who may count them and not see them. Nobody but the
-- owner of the schema may read it: who knows it can try all phones that there are.
create table rowbell.hash_key (
    -- One row only: the primary key can hold just one value.
    is_only  boolean not null default true primary key,
    key      bytea not null default sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())),

    constraint one_hash_key check (is_only)
);
insert into rowbell.hash_key default values;
comment on table  rowbell.hash_key is 'One row: the key of the hashes in rowbell_report. A new one ("update rowbell.hash_key set key = default") changes all of them.';
comment on column rowbell.hash_key.is_only is 'Always true; makes a second row impossible.';
comment on column rowbell.hash_key.key is 'Random: the same text gives the same hash as long as this stays.';

create function rowbell.keyed_hash(value text, key bytea) returns text
language sql stable
as $$
    select left(encode(sha256(key || convert_to(value, 'UTF8')), 'hex'), 16)
$$;
comment on function rowbell.keyed_hash(text, bytea) is 'Stands for a text that must not be seen: the same for the same text and key. Needs the key, so that nobody can try texts with it.';


-- What there is of these schemas now, with the statement that would make it: "rowbell migrate" writes it down,
-- "rowbell doctor" compares. The functions of watches are not among it: those come and go with their watches.
create view rowbell.schema_object_now as
with ours as (
    select n.oid, n.nspname from pg_catalog.pg_namespace as n where n.nspname in ('rowbell', 'rowbell_report')
), relation as (
    select c.oid, c.relkind, c.relacl, format('%I.%I', o.nspname, c.relname) as name
      from pg_catalog.pg_class as c join ours as o on o.oid = c.relnamespace
)
select 'table' as kind, r.name, '' as definition from relation as r where r.relkind in ('r', 'p')
union all
select 'view', r.name, format('create or replace view %s as %s', r.name, pg_catalog.pg_get_viewdef(r.oid))
  from relation as r where r.relkind = 'v'
union all
select 'index', i.name, pg_catalog.pg_get_indexdef(i.oid)
  from relation as i join pg_catalog.pg_index as x on x.indexrelid = i.oid
 where not exists (select from pg_catalog.pg_constraint as c where c.conindid = i.oid and c.contype in ('p', 'u', 'x'))
union all
select 'constraint', format('%I of %s', c.conname, r.name),
       format('alter table %s add constraint %I %s', r.name, c.conname, pg_catalog.pg_get_constraintdef(c.oid))
  from pg_catalog.pg_constraint as c join relation as r on r.oid = c.conrelid
 where c.contype in ('p', 'u', 'c', 'f', 'x')
union all
select 'trigger', format('%I of %s', t.tgname, r.name), pg_catalog.pg_get_triggerdef(t.oid)
  from pg_catalog.pg_trigger as t join relation as r on r.oid = t.tgrelid
 where not t.tgisinternal
union all
select 'function', p.oid::regprocedure::text, pg_catalog.pg_get_functiondef(p.oid)
  from pg_catalog.pg_proc as p join ours as o on o.oid = p.pronamespace
 where not (p.prorettype = 'trigger'::regtype and p.proname like 'capture\_%')
union all
select 'right', format('%s on %s of %I', lower(a.privilege_type), r.name, g.rolname),
       format('grant %s on %s%s to %I', lower(a.privilege_type), case r.relkind when 'S' then 'sequence ' else '' end,
              r.name, g.rolname)
  from relation as r
 cross join lateral aclexplode(r.relacl) as a
  join pg_catalog.pg_roles as g on g.oid = a.grantee and g.rolname in ('rowbell_daemon', 'rowbell_analyst', 'rowbell_support')
union all
select 'right', format('%s on %s.%I of %I', lower(a.privilege_type), r.name, t.attname, g.rolname),
       format('grant %s (%I) on %s to %I', lower(a.privilege_type), t.attname, r.name, g.rolname)
  from relation as r
  join pg_catalog.pg_attribute as t on t.attrelid = r.oid
 cross join lateral aclexplode(t.attacl) as a
  join pg_catalog.pg_roles as g on g.oid = a.grantee and g.rolname in ('rowbell_daemon', 'rowbell_analyst', 'rowbell_support');
comment on view rowbell.schema_object_now is 'What there is of the schemas of rowbell now; see rowbell.schema_object.';
comment on column rowbell.schema_object_now.kind is 'Table, view, index, constraint, trigger, function, or right.';
comment on column rowbell.schema_object_now.name is 'Name of the object.';
comment on column rowbell.schema_object_now.definition is 'The statement that makes it; empty for a table.';


-- The same as the migrations left it.
create table rowbell.schema_object (
    kind        text not null,
    name        text not null,
    definition  text not null,
    primary key (kind, name)
);
comment on table  rowbell.schema_object is 'What the migrations made of the schemas of rowbell; "rowbell doctor" finds what is gone or was changed since.';
comment on column rowbell.schema_object.kind is 'Table, view, index, constraint, trigger, function, or right.';
comment on column rowbell.schema_object.name is 'Name of the object.';
comment on column rowbell.schema_object.definition is 'The statement that makes it; empty for a table.';
