-- settle_queue: what message $1 waits for now: $2 open or unconfirmed, until $3.
--
-- A message that is taken up again had left the queue: it gets its row back.
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
