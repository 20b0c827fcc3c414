-- unmatched_drop: the ids $1 were joined to their messages; they are unmatched no more.
delete from rowbell.unmatched_receipt where provider_message_id = any ($1);
