-- settle_queue: puts a message into the queue, or changes what it waits for there.
--
-- A message that is taken up again had left the queue: it gets its row back.
--
-- $1 message_id: the message
-- $2 state: open or unconfirmed
-- $3 due_at: until when it waits
insert into rowbell.queue as q (message_id, channel, watch, entity_key, state, due_at)
select m.message_id, m.channel, m.watch, m.entity_key, $2::text::rowbell.queue_state, $3
  from rowbell.message as m
 where m.message_id = $1
    on conflict (message_id) do update
   set state            = excluded.state,
       due_at           = excluded.due_at,
       leased_by        = null,
       lease_expires_at = null,
       is_dry_run       = false;
