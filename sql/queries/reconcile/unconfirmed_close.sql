-- unconfirmed_close: ends the lookups about an attempt.
--
-- $1 message_id, $2 number: the attempt
delete from rowbell.unconfirmed_attempt where message_id = $1 and number = $2;
