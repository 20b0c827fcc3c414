-- webhook_probe_find: reads whether a receipt for an id of the provider came by webhook.
--
-- $1 provider_message_id: the id
select exists (
       select from rowbell.receipt as r
        where r.provider_message_id = $1 and r.source = 'webhook'
  ) as is_stored;
