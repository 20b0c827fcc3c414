-- copy_adopt: makes this database, on this server, the one that sends for an environment.
--
-- $1 environment: environment of the configuration
-- $2 system_identifier: identifier of this server; null: it may not be read
update rowbell.installation
   set environment       = $1,
       system_identifier = $2,
       database_oid      = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database()),
       updated_at        = now();
