-- settle_sibling: finds another message of an entity that says what a message would say.
--
-- That is a later one, unless it ended untold: open, on its way, or gone, it tells the row as it is
-- now. Or an earlier one that is open again.
--
-- $1 watch, $2 entity_key: the entity
-- $3 message_id: the message
select m.message_id
  from rowbell.message as m
 where m.watch = $1 and m.entity_key = $2
   and ((m.message_id > $3 and m.state not in ('failed', 'skipped'))
        or (m.message_id < $3 and m.state in ('waiting', 'scheduled', 'held')))
 order by m.message_id desc
 limit 1;
