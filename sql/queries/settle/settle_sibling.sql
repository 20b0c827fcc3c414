-- settle_sibling: finds another message of an entity that says to the same recipient what a message would say.
--
-- That is a later one, unless it ended untold: open, on its way, or gone, it tells the row as it is
-- now. Or an earlier one that is open again. One that is for all recipients yet counts for each of them.
--
-- $1 watch, $2 entity_key, $3 recipient_key: the recipient of the entity
-- $4 message_id: the message
select m.message_id
  from rowbell.message as m
 where m.watch = $1 and m.entity_key = $2
   and (m.recipient_key is null or $3::text is null or m.recipient_key = $3)
   and ((m.message_id > $4 and m.state not in ('failed', 'skipped'))
        or (m.message_id < $4 and m.state in ('waiting', 'scheduled', 'held')))
 order by m.message_id desc
 limit 1;
