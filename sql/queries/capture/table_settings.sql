-- table_settings: reads on which settings of a session the text of a column's values depends, and where a value may
-- hold bytes that are no text (setting is null): wherever the type "char" stands in it.
--
-- Called by postgres/capture/table.rs. JSON writes a date or a moment by itself in one form, but not within a range,
-- and a moment always in the time zone of the session: that is the same moment for whoever compares moments, but
-- another text in a key (is_of_key), where lists stand as PostgreSQL writes them, or in a composite value. Types that PostgreSQL does not bring along may depend on
-- anything, unless they are texts, or known to be independent. Of money and of names of the catalog the setting is only
-- named: a function cannot have it, because the value itself depends on it, or the session of whoever reads.
--
-- $1 table: oid of the table
with recursive part as (
    select a.attname::text as column_name, a.atttypid as type, true as is_plain, false as is_listed
      from pg_attribute as a
     where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
    union
    select p.column_name, deeper.type, p.is_plain and deeper.is_plain, p.is_listed or deeper.is_listed
      from part as p
      join pg_type as t on t.oid = p.type
      -- pg_range has no rngmultitypid before PostgreSQL 14: asked for as JSON it is null there.
      left join pg_range as r on r.rngtypid = t.oid
      left join pg_range as m on t.typtype = 'm' and (to_jsonb(m) ->> 'rngmultitypid')::oid = t.oid
     cross join lateral (
           select t.typbasetype as type, true as is_plain, false as is_listed where t.typtype = 'd'
           union all
           select t.typelem, true, true where t.typtype <> 'd' and t.typcategory = 'A' and t.typelem <> 0
           union all
           select coalesce(r.rngsubtype, m.rngsubtype), false, false where coalesce(r.rngtypid, m.rngtypid) is not null
           union all
           select a.atttypid, false, false
             from pg_attribute as a
            where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
     ) as deeper
)
select distinct p.column_name, s.setting, s.is_of_key
  from part as p
  join pg_type as t on t.oid = p.type and t.typtype in ('b', 'p')
  join pg_namespace as n on n.oid = t.typnamespace
  join (values
       ('date timestamp timestamptz', 'DateStyle', false, false),
       ('timestamptz', 'TimeZone', false, false),
       ('timestamptz', 'TimeZone', true, true),
       ('date timestamp timestamptz', 'DateStyle', false, true),
       ('interval other', 'IntervalStyle', true, false),
       ('float4 float8 point line lseg box path polygon circle other', 'extra_float_digits', true, false),
       ('bytea other', 'bytea_output', true, false),
       ('other', 'DateStyle', true, false),
       ('other', 'TimeZone', true, false),
       ('money', 'lc_monetary', true, false),
       ('regproc regprocedure regoper regoperator regclass regtype regconfig regdictionary regcollation', 'search_path', true, false)
  ) as s (types, setting, is_of_plain, is_of_key)
    on (s.is_of_plain >= p.is_plain or (s.is_of_key and p.is_listed))
   and case
           when n.nspname = 'pg_catalog' then t.typname
           when t.typcategory <> 'S' and t.typname not in ('hstore', 'ltree', 'geometry', 'geography') then 'other'
       end = any (string_to_array(s.types, ' '))
union
select p.column_name, null, false from part as p where p.type = '"char"'::regtype
 order by 1, 2, 3;
