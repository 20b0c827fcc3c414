-- endpoint_write: writes the circuit of an endpoint, and how it answered.
--
-- $1 endpoint: which
-- $2 failed_in_a_row, $3 opened_at, $4 next_try_at, $5 pause_seconds, $6 is_gone: its circuit
-- $7 now: the time
-- $8 has_taken: whether it took something
-- $9 last_error: why it did not take something else
update rowbell.outgoing_webhook as w
   set failed_in_a_row   = $2,
       opened_at         = $3,
       next_try_at       = $4,
       pause_seconds     = $5,
       gone_at           = case when $6 then coalesce(w.gone_at, $7) end,
       last_delivered_at = case when $8 then $7 else w.last_delivered_at end,
       last_failed_at    = case when $9::text is not null then $7 else w.last_failed_at end,
       last_error        = coalesce($9, w.last_error)
 where w.endpoint = $1;
