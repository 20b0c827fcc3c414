-- compose_first_old: the row before the first change of the entity ($1 watch, $2 key) that we know of.
select m.old_row
  from rowbell.message as m
 where m.watch = $1 and m.entity_key = $2
 order by m.message_id
 limit 1;
