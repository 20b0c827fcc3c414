-- server: reads what the server says of itself and of our connection to it.
--
-- The folder of its data is told to superusers and to members of pg_read_all_settings.
select current_setting('server_version_num')::integer as version,
       current_setting('server_encoding') as encoding,
       coalesce((select s.ssl from pg_catalog.pg_stat_ssl as s where s.pid = pg_backend_pid()), false) as is_secured,
       (select p.setting from pg_catalog.pg_settings as p where p.name = 'data_directory') as data_folder,
       coalesce(inet_client_addr() << '127.0.0.0/8' or inet_client_addr() = '::1' or inet_client_addr() = inet_server_addr(), true)
           as is_here;
