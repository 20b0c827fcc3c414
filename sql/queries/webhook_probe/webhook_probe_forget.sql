-- webhook_probe_forget: removes what a webhook test left under an id of the provider.
--
-- $1 provider_message_id: the id
with unmatched as (
    delete from rowbell.unmatched_receipt where provider_message_id = $1
)
delete from rowbell.receipt where provider_message_id = $1;
