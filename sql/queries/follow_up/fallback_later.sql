-- fallback_later: puts the decision about a fallback of messages off.
--
-- $1 message_ids: the messages
-- $2 due_at: when that is decided
-- $3 waits_for: what each message waits for; a word of rowbell.fallback_waits_for
update rowbell.fallback as f
   set due_at    = $2,
       waits_for = l.waits_for::rowbell.fallback_waits_for
  from unnest($1::bigint[], $3::text[]) as l (message_id, waits_for)
 where f.message_id = l.message_id;
