-- compose_first_old: the row before the first change of the entity ($1 watch, $2 key) that we know of,
-- after whatever was redacted.
select m.old_row
  from rowbell.message as m
 where m.watch = $1 and m.entity_key = $2
   and m.message_id > coalesce((
       select max(b.message_id)
         from rowbell.message as b
        where b.watch = $1 and b.entity_key = $2 and b.redacted_at is not null
   ), 0)
 order by m.message_id
 limit 1;
