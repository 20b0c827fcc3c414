-- circuit_lock: the circuit of channel $1, template $2, language $3, locked for whoever moves it.
select c.state::text, c.reason, c.error_code, c.is_by_receipt, c.since, c.pause_seconds, c.probe_at,
       c.probe_message_id, c.closed_at, c.opened_count
  from rowbell.circuit as c
 where c.channel = $1 and c.template = $2 and c.language = $3
   for update;
