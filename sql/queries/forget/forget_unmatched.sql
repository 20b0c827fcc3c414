-- forget_unmatched: removes the ids that no attempt knew and that name phone $1 (in the form for comparing).
delete from rowbell.unmatched_receipt where phone_key = $1
returning provider_message_id;
