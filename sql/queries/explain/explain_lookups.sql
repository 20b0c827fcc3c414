-- explain_lookups: what was done to find out whether the provider has the messages $1.
select i.message_id, i.number, i.asked_at, i.method::text, i.found, i.provider_message_id
  from rowbell.reconcile_lookup as i
 where i.message_id = any ($1)
 order by i.reconcile_lookup_id;
