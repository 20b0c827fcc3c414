-- circuit_probe: takes the right to try one message on an open circuit.
--
-- No row: somebody else has that right, or the circuit was closed in the meantime.
--
-- $1 channel, $2 template, $3 language: the circuit; template and language are empty for that of the channel
-- $4 message_id: the message to try
-- $5 now: the time
-- $6 next_probe_at: when the next message may be tried if no answer comes for this one
update rowbell.circuit
   set state            = 'probing',
       probe_message_id = $4,
       probe_at         = $6,
       updated_at       = $5
 where channel = $1 and template = $2 and language = $3
   and state <> 'closed'
   and probe_at <= $5
returning channel;
