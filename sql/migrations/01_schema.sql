-- 01_schema: the two schemas, the installation, and the words that several tables share.
--
-- Schema rowbell is the machine: its tables may change with any release.
-- Schema rowbell_report is the promise to analysts: views only; columns are added, never renamed.

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
comment on column rowbell.installation.environment is 'Name of the environment as configured when the daemon first ran, such as production.';
comment on column rowbell.installation.system_identifier is 'Identifier of the database server when the daemon first ran (pg_control_system), if it may be read.';
comment on column rowbell.installation.database_oid is 'Object id of this database when the daemon first ran; a copy has another one.';
comment on column rowbell.installation.installed_at is 'When the schema was created.';
comment on column rowbell.installation.updated_at is 'When this row was last written.';
