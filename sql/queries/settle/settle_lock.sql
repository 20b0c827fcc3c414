-- settle_lock: where message $1 stands now, locked until the caller has moved it.
select m.state::text, m.reason::text, m.attempt_count, m.watch, m.entity_key,
       m.channel, m.template, m.language, m.recipient_phone, m.waits_for::text
  from rowbell.message as m
 where m.message_id = $1
   for update;
