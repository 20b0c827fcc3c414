-- lookup_note: a lookup of evidence about attempt $2 of message $1: $3 method, $4 what came of it, $5 id; $6 the time.
insert into rowbell.reconcile_lookup (message_id, number, method, found, provider_message_id, asked_at)
values ($1, $2, $3::text::rowbell.reconcile_lookup_method, $4, $5, $6);
