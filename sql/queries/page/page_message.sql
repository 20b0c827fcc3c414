-- page_message: reads of which row a message tells.
--
-- $1 message_id: the message
select m.watch, m.entity_key
  from rowbell.message as m
 where m.message_id = $1;
