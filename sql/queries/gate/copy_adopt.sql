-- copy_adopt: from now on this database, on this server, sends for environment $1; $2 identifier of
-- the server, if it may be read.
update rowbell.installation
   set environment       = $1,
       system_identifier = $2,
       database_oid      = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database()),
       updated_at        = now();
