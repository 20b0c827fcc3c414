-- circuit_release: makes what waits for a circuit due now: the circuit is closed.
--
-- $1 channel, $2 template, $3 language: the circuit; template and language are empty for that of the channel
-- $4 now: the time
with released as (
    update rowbell.queue as q
       set due_at = $4
      from rowbell.message as m
     where q.channel = $1
       and q.state = 'open'
       and q.due_at > $4
       and m.message_id = q.message_id
       and m.waits_for in ('circuit', 'burst_retry')
       and coalesce(m.waits_for_template, '') = $2
       and coalesce(m.waits_for_language, '') = $3
 returning q.message_id
)
update rowbell.message as m
   set waits_for          = null,
       waits_for_template = null,
       waits_for_language = null,
       due_at             = $4,
       updated_at         = $4,
       updated_by         = 'circuit_release'
  from released as r
 where m.message_id = r.message_id;
