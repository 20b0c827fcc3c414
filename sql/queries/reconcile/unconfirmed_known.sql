-- unconfirmed_known: reads which ids of the provider belong to an attempt.
--
-- $1 provider_message_ids: the ids
select a.provider_message_id
  from rowbell.attempt as a
 where a.provider_message_id = any ($1);
