-- circuit_write: where the circuit of channel $1, template $2, language $3 stands now; $14 the time.
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
