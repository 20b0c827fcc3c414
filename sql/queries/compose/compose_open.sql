-- compose_open: reads the row before the first change of an entity that is still to be told: by its open messages, or as
-- the first change that is not folded yet.
--
-- $1 watch, $2 entity_key: the entity
select first.old_row
  from (select m.old_row, 1 as place, q.message_id as id
          from rowbell.queue as q
          join rowbell.message as m using (message_id)
         where q.watch = $1 and q.entity_key = $2 and q.state in ('open', 'held')
         union all
        select c.old_row, 2, c.change_id
          from rowbell.change_row as c
         where c.watch = $1 and c.entity_key = $2 and c.mute_reason is null) as first
 order by first.place, first.id
 limit 1;
