-- endpoint_lock: locks an endpoint, and reads its circuit.
--
-- $1 endpoint: which
select w.failed_in_a_row, w.opened_at, w.next_try_at, w.pause_seconds, w.gone_at is not null as is_gone
  from rowbell.outgoing_webhook as w
 where w.endpoint = $1
   for update;
