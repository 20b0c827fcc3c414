-- fallback_done: ends the wait of messages for their next channel: that is decided.
--
-- $1 message_ids: the messages
delete from rowbell.fallback where message_id = any ($1);
