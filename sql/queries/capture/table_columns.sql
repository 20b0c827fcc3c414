-- table_columns: reads the columns of a table: name, type, what it comes down to, and whether "=" detects a change.
--
-- Called by postgres/capture/table.rs. The third column is read by `ColumnKind::of`: domains are replaced by
-- their base, again and again; `list`, `range` and `multirange` stand before what they consist of; the
-- labels of an enum are texts. The modifier (the 2 of numeric(10,2)) of a domain is that of its base.
--
-- "=" detects a change where a value is never null, and no two that are equal are written differently: not so
-- with a collation to which two texts may be equal, with numbers that keep zeros, with intervals.
-- The last column says whether JSON writes a value as more than one text: as a list, an object, or a JSON value of its own.
--
-- $1 table: oid of the table
with recursive step as (
    select a.attnum, ''::text as prefix, a.atttypid as type, a.atttypmod as modifier
      from pg_attribute as a
     where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
    union all
    select s.attnum, s.prefix || deeper.word, deeper.type, deeper.modifier
      from step as s
      join pg_type as t on t.oid = s.type
      -- pg_range has no rngmultitypid before PostgreSQL 14: asked for as JSON it is null there.
      left join pg_range as r on r.rngtypid = t.oid
      left join pg_range as m on t.typtype = 'm' and (to_jsonb(m) ->> 'rngmultitypid')::oid = t.oid
     cross join lateral (
           select '' as word, t.typbasetype as type, t.typtypmod as modifier where t.typtype = 'd'
           union all
           select 'list ', t.typelem, s.modifier where t.typtype <> 'd' and t.typcategory = 'A' and t.typelem <> 0
           union all
           select 'range ', r.rngsubtype, -1 where r.rngtypid is not null
           union all
           select 'multirange ', m.rngsubtype, -1 where m.rngtypid is not null
     ) as deeper
)
select a.attname::text,
       format_type(a.atttypid, a.atttypmod),
       last.prefix || case when t.typtype = 'e' then 'enum' else format_type(last.type, last.modifier) end,
       a.attnotnull and (t.typtype = 'e'
            or a.atttypid in ('boolean'::regtype, 'smallint'::regtype, 'integer'::regtype, 'bigint'::regtype,
                              'date'::regtype, 'time'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype, 'uuid'::regtype)
            or (a.atttypid in ('text'::regtype, 'varchar'::regtype) and l.collisdeterministic)),
       bare.type, bare.has_structure
  from pg_attribute as a
 cross join lateral (
       select s.prefix, s.type, s.modifier
         from step as s
         join pg_type as d on d.oid = s.type
        where s.attnum = a.attnum and d.typtype not in ('d', 'r', 'm') and not (d.typcategory = 'A' and d.typelem <> 0)
  ) as last
  join pg_type as t on t.oid = last.type
 cross join lateral (
       select format_type(s.type, s.modifier) as type,
              d.typtype = 'c' or (d.typcategory = 'A' and d.typelem <> 0) or d.oid in ('json'::regtype, 'jsonb'::regtype)
              or exists (select from pg_cast as k where k.castsource = d.oid and k.casttarget = 'json'::regtype)
              as has_structure
         from step as s
         join pg_type as d on d.oid = s.type
        where s.attnum = a.attnum and d.typtype <> 'd' order by length(s.prefix) limit 1
  ) as bare
  left join pg_collation as l on l.oid = a.attcollation
 where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
 order by a.attnum;
