-- webhook_probe_find: whether a receipt for the provider's id $1 came by webhook.
select exists (
       select from rowbell.receipt as r
        where r.provider_message_id = $1 and r.source = 'webhook'
  ) as is_stored;
