-- settle_known: locks the messages that ids of the provider belong to, until the caller has moved them.
--
-- Ids that no attempt knows yet are absent: their receipts are joined when the id arrives. Locked in the
-- order of messages, so that two deliveries never wait for each other.
--
-- $1 provider_message_ids: the ids
select m.message_id, a.number, a.started_at, a.provider_message_id, a.carried_by is not null as is_carried,
       m.state::text, m.reason::text, m.reason_text, m.attempt_count, m.watch, m.entity_key, m.recipient_key, m.channel,
       m.template, m.language, m.recipient_phone, m.waits_for::text,
       m.sent_at, m.delivered_at, m.read_at
  from rowbell.attempt as a
  join rowbell.message as m using (message_id)
 where a.provider_message_id = any ($1)
 order by m.message_id, a.number
   for update of m;
