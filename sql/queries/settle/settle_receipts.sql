-- settle_receipts: reads the evidence about ids of the provider.
--
-- A statement of its own, after their messages were locked: it sees what others stored who held the
-- locks before. Evidence that names another channel than that of the message is about somebody else's.
--
-- $1 provider_message_ids, $2 channels: the ids, and the channel of the message of each
select r.provider_message_id, r.status::text, r.error_code, r.error_title, r.error_text,
       coalesce(r.occurred_at, r.received_at) as happened_at
  from unnest($1::text[], $2::text[]) as k (provider_message_id, channel)
  join rowbell.receipt as r
    on r.provider_message_id = k.provider_message_id
   and r.channel in (k.channel, '');
