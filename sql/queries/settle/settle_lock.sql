-- settle_lock: where message $1 stands now, locked until the caller has moved it.
--
-- is_as_settled: nothing was folded into it, and it was not put into words again, since it was
-- settled last.
select m.state::text, m.reason::text, m.attempt_count, m.watch, m.entity_key,
       m.channel, m.template, m.language, m.recipient_phone, m.updated_by = 'settle_move' as is_as_settled
  from rowbell.message as m
 where m.message_id = $1
   for update;
