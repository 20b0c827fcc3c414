-- explain_receipts: reads the evidence about messages, by the ids that their attempts were given.
--
-- $1 message_ids: the messages
select a.message_id, r.status::text, r.source::text, r.error_code, r.error_text,
       coalesce(r.occurred_at, r.received_at) as happened_at
  from rowbell.attempt as a
  join rowbell.receipt as r using (provider_message_id)
 where a.message_id = any ($1)
 order by a.message_id, r.receipt_id;
