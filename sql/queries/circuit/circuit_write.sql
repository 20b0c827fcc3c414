-- circuit_write: writes where a circuit stands.
--
-- $1 channel, $2 template, $3 language: the circuit; template and language are empty for that of the channel
-- $4 state: a word of rowbell.circuit_state
-- $5 reason: why it opened last, as a sentence
-- $6 error_code: error code of WhatsApp that opened it last
-- $7 is_by_receipt: whether receipts reported the errors, not answers
-- $8 since: since when it is open, or was last
-- $9 pause_seconds: how long it waits between probes
-- $10 probe_at, $11 probe_message_id: when a message may be tried, and which one is being tried
-- $12 closed_at: since when it sends again
-- $13 opened_count: how often it opened
-- $14 now: the time
insert into rowbell.circuit as c (
       channel, template, language, state, reason, error_code, is_by_receipt, since, pause_seconds,
       probe_at, probe_message_id, closed_at, opened_count, updated_at
)
values ($1, $2, $3, $4::text::rowbell.circuit_state, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    on conflict (channel, template, language) do update
   set state            = excluded.state,
       reason           = excluded.reason,
       error_code       = excluded.error_code,
       is_by_receipt    = excluded.is_by_receipt,
       since            = excluded.since,
       pause_seconds    = excluded.pause_seconds,
       probe_at         = excluded.probe_at,
       probe_message_id = excluded.probe_message_id,
       closed_at        = excluded.closed_at,
       opened_count     = excluded.opened_count,
       updated_at       = excluded.updated_at;
