-- forget_unmatched: removes the unmatched receipts that name a phone.
--
-- $1 phone_key: the phone, in the form in which phones are compared
delete from rowbell.unmatched_receipt where phone_key = $1
returning provider_message_id;
