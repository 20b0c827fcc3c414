-- explain_receipts: reads the evidence about messages, by the ids that their attempts were given.
--
-- $1 message_ids: the messages
select a.message_id, r.status::text, r.source::text, r.error_code, r.error_text,
       -- Providers say whole seconds, by clocks of their own: nothing came before it was sent.
       greatest(coalesce(r.occurred_at, r.received_at), a.started_at,
                case a.result when 'accepted' then a.finished_at end) as happened_at
  from rowbell.attempt as a
  join rowbell.receipt as r using (provider_message_id)
 where a.message_id = any ($1)
 order by a.message_id, r.receipt_id;
