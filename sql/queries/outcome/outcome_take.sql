-- outcome_take: locks the outcome that is due first, with what a hook may be told of it. Of one message the earlier outcome
-- comes first.
--
-- $1 now: the time
-- $2 watches: of these
select c.call_id, c.message_id, c.watch, c.place, c.state::text, c.attempt_count, m.entity_key, m.recipient_key,
       m.reason::text, m.channel, m.operation::text, m.provider_message_id,
       m.sent_at::text, m.delivered_at::text, m.read_at::text, m.finished_at::text,
       r.body as reply, r.kind::text as reply_kind, r.payload as reply_payload,
       coalesce(r.written_at, r.received_at)::text as replied_at
  from rowbell.outcome_call as c
  join rowbell.message as m using (message_id)
  left join rowbell.reply as r on r.reply_id = c.reply_id
 where c.due_at <= $1 and c.watch = any ($2)
   and not exists (
       select
         from rowbell.outcome_call as earlier
        where earlier.message_id = c.message_id and earlier.place = c.place and earlier.call_id < c.call_id
   )
 order by c.due_at, c.call_id
 limit 1
   for update of c skip locked;
