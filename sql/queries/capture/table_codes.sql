-- table_codes: reads the columns of a table whose values are those of an enum, or of a domain over one, and the
-- labels.
--
-- $1 table: oid of the table
select a.attname::text as column_name,
       array(select e.enumlabel::text from pg_enum as e where e.enumtypid = base.oid order by e.enumsortorder) as labels
  from pg_attribute as a
  join pg_type as t on t.oid = a.atttypid
  join pg_type as base on base.oid = case t.typtype when 'd' then t.typbasetype else t.oid end
 where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
   and base.typtype = 'e'
 order by a.attnum;
