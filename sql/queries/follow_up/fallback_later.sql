-- fallback_later: the messages $1 are looked at again at $2, each for what it waits for ($3).
update rowbell.fallback as f
   set due_at    = $2,
       waits_for = l.waits_for::rowbell.fallback_waits_for
  from unnest($1::bigint[], $3::text[]) as l (message_id, waits_for)
 where f.message_id = l.message_id;
