-- explain_lookups: reads what was done to find out whether the provider has messages.
--
-- $1 message_ids: the messages
select l.message_id, l.number, l.asked_at, l.method::text, l.found, l.provider_message_id
  from rowbell.reconcile_lookup as l
 where l.message_id = any ($1)
 order by l.reconcile_lookup_id;
