-- capture_function: reads what the function of a watch does, and how it is set.
--
-- $1 name: its name, quoted and qualified, with the empty list of its arguments
select p.prosrc as source,
       array(select lower(split_part(s, '=', 1) collate "C") || substr(s, strpos(s, '='))
               from unnest(p.proconfig) as s order by 1) as settings,
       p.prosecdef as is_definer
  from pg_catalog.pg_proc as p
 where p.oid = to_regprocedure($1);
