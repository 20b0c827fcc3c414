-- unmatched_drop: removes unmatched receipts that were joined to their messages.
--
-- $1 provider_message_ids: their ids
delete from rowbell.unmatched_receipt where provider_message_id = any ($1);
