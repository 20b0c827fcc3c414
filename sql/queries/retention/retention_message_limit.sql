-- retention_message_limit: finds the first id of the messages opened since a moment; all below are older.
--
-- $1 since: the moment
select rowbell.first_message_since($1) as first_id;
