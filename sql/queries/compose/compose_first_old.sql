-- compose_first_old: reads the row before the first known change of an entity, after whatever was redacted.
--
-- $1 watch, $2 entity_key: the entity
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
