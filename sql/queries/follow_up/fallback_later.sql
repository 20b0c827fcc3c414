-- fallback_later: the messages $1 are looked at again at $2, each for the reason $3.
update rowbell.fallback as f
   set due_at      = $2,
       reason_text = l.why
  from unnest($1::bigint[], $3::text[]) as l (message_id, why)
 where f.message_id = l.message_id;
