-- page_first_since: finds the first message that was opened since a moment.
--
-- $1 since: the moment
select rowbell.first_message_since($1) as message_id;
