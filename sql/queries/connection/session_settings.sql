-- session_settings: makes a session independent of what the role, the database or the server are set to. Settings
-- that a server does not have are passed over.
--
-- Names of the business are sought where the role or the database say, and at last in the default schemas. Nothing
-- there hides what PostgreSQL itself has. A commit is on disk before we go by it, if the server can.
--
-- $1 names: names of the settings
-- $2 values: their values
select count(pg_catalog.set_config(s.name, s.value, false))
  from (
       select *
         from unnest($1::text[], $2::text[]) as ours (name, value)
        union all
       select 'search_path',
              case when current_setting('search_path') like '%pg_catalog%' then 'pg_catalog, ' else '' end
              || current_setting('search_path') || ', "$user", public'
        union all
       select 'synchronous_commit', 'on'
        where current_setting('synchronous_commit') = 'off'
  ) as s (name, value)
 where current_setting(s.name, true) is not null;
