-- webhook_probe_forget: what a test left under the provider's id $1 is taken away again.
with strays as (
    delete from rowbell.unmatched_receipt where provider_message_id = $1
)
delete from rowbell.receipt where provider_message_id = $1;
