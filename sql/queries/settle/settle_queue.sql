-- settle_queue: puts a message into the queue, or changes what it waits for there.
--
-- A message that is taken up again had left the queue: it gets its row back. One that errors put off is late since it
-- was due first; what WhatsApp asks to leave for a day is not.
--
-- $1 message_id: the message
-- $2 state: open or unconfirmed
-- $3 due_at: until when it waits
insert into rowbell.queue as q (message_id, channel, watch, entity_key, recipient_key, state, due_at)
select m.message_id, m.channel, m.watch, m.entity_key,
       case when not m.is_for_all then m.recipient_key end, $2::text::rowbell.queue_state, $3
  from rowbell.message as m
 where m.message_id = $1
    on conflict (message_id) do update
   set state            = excluded.state,
       recipient_key    = excluded.recipient_key,
       due_at           = excluded.due_at,
       late_since       = case when (
                              select a.error_class
                                from rowbell.attempt as a
                               where a.message_id = q.message_id
                               order by a.number desc
                               limit 1
                          ) is distinct from 'later' then coalesce(q.late_since, q.due_at) end,
       leased_by        = null,
       lease_expires_at = null,
       is_dry_run       = false;
