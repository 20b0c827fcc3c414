-- fallback_done: it is clear what becomes of the messages $1.
delete from rowbell.fallback where message_id = any ($1);
