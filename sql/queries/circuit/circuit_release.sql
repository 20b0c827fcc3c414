-- circuit_release: messages of channel $1 whose reason begins with $2 waited for a circuit that is
-- closed now; they are due at $3.
with released as (
    update rowbell.queue as q
       set due_at = $3
      from rowbell.message as m
     where q.channel = $1
       and q.state = 'open'
       and q.due_at > $3
       and m.message_id = q.message_id
       and starts_with(m.reason_text, $2)
 returning q.message_id
)
update rowbell.message as m
   set due_at     = $3,
       updated_at = $3,
       updated_by = 'circuit_release'
  from released as r
 where m.message_id = r.message_id;
