-- stray_drop: the ids $1 were joined to their messages; they are strays no more.
delete from rowbell.stray where provider_message_id = any ($1);
