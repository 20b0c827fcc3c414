-- lock_holder: reads which server process holds an advisory lock of one key.
--
-- $1 key: key of the lock
select l.pid
  from pg_catalog.pg_locks as l
 where l.locktype = 'advisory'
   and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
   and (l.classid::bigint << 32) | l.objid::bigint = $1
   and l.objsubid = 1
   and l.granted
 limit 1;
