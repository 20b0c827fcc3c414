-- settle_lock: reads where a message stands, and locks it until the caller has moved it.
--
-- $1 message_id: the message
select m.state::text, m.reason::text, m.attempt_count, m.watch, m.entity_key, m.recipient_key,
       m.channel, m.template, m.language, m.recipient_phone, m.waits_for::text
  from rowbell.message as m
 where m.message_id = $1
   for update;
