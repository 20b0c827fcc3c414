-- lookup_note: writes a lookup of evidence about an attempt.
--
-- $1 message_id, $2 number: the attempt
-- $3 method: a word of rowbell.reconcile_lookup_method
-- $4 found: what came of it
-- $5 provider_message_id: the id that was found, if any
-- $6 now: the time
insert into rowbell.reconcile_lookup (message_id, number, method, found, provider_message_id, asked_at)
values ($1, $2, $3::text::rowbell.reconcile_lookup_method, $4, $5, $6);
