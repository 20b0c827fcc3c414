-- circuit_lock: reads and locks a circuit for whoever moves it.
--
-- $1 channel, $2 template, $3 language: the circuit; template and language are empty for that of the channel
select c.state::text, c.reason, c.error_code, c.is_by_receipt, c.since, c.pause_seconds as pause, c.probe_at,
       c.probe_message_id, c.closed_at, c.opened_count
  from rowbell.circuit as c
 where c.channel = $1 and c.template = $2 and c.language = $3
   for update;
