-- settle_receipts: reads the evidence about ids of the provider.
--
-- A statement of its own, after their messages were locked: it sees what others stored who held the
-- locks before.
--
-- $1 provider_message_ids: the ids
select r.provider_message_id, r.status::text, r.error_code, r.error_title, r.error_text,
       coalesce(r.occurred_at, r.received_at) as happened_at
  from rowbell.receipt as r
 where r.provider_message_id = any ($1);
