-- circuit_probe: the right to try message $4 on the circuit ($1 channel, $2 template, $3 language),
-- at $5; if nothing is heard of it, the next may be tried at $6.
--
-- No row: somebody else has that right, or the circuit was closed in the meantime.
update rowbell.circuit
   set state            = 'probing',
       probe_message_id = $4,
       probe_at         = $6,
       updated_at       = $5
 where channel = $1 and template = $2 and language = $3
   and state <> 'closed'
   and probe_at <= $5
returning channel;
