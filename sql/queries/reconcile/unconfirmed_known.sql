-- unconfirmed_known: which of the ids $1 belong to an attempt.
select a.provider_message_id
  from rowbell.attempt as a
 where a.provider_message_id = any ($1);
