-- copy_read: whether this database is a copy; see pipeline/gate/copy_guard.rs.
--
-- $1 environment: environment of the configuration
-- $2 system_identifier: identifier of this server; null: it may not be read
select exists (
           select
             from rowbell.installation as i
            where i.environment is not null
              and (i.environment <> $1
                   or i.database_oid is distinct from (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
                   or (i.system_identifier is not null and $2::text is not null and i.system_identifier <> $2))
       ) as is_copy;
