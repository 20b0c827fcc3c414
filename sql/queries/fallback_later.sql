-- fallback_later: the messages $1 are looked at again at $2.
update rowbell.fallback set due_at = $2 where message_id = any ($1);
