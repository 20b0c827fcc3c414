-- compose_open: reads the row before the first change that the open messages of an entity are to tell.
--
-- $1 watch, $2 entity_key: the entity
select m.old_row
  from rowbell.queue as q
  join rowbell.message as m using (message_id)
 where q.watch = $1 and q.entity_key = $2 and q.state in ('open', 'held')
 order by q.message_id
 limit 1;
