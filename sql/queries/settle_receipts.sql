-- settle_receipts: the evidence about the provider's ids $1, with the message that each belongs to.
--
-- Ids that no attempt knows yet are absent: their receipts are joined when the id arrives.
select a.message_id, a.number, r.status::text, r.error_code, r.error_text,
       coalesce(r.occurred_at, r.received_at) as happened_at, r.provider_message_id
  from rowbell.receipt as r
  join rowbell.attempt as a using (provider_message_id)
 where r.provider_message_id = any ($1)
 order by a.message_id, r.receipt_id;
