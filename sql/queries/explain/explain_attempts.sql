-- explain_attempts: reads the attempts of messages.
--
-- $1 message_ids: the messages
select a.message_id, a.number, a.result::text, a.started_at, a.finished_at, a.http_status,
       a.error_class::text, a.error_code, a.error_text, a.provider_message_id, a.carried_by
  from rowbell.attempt as a
 where a.message_id = any ($1)
 order by a.message_id, a.number;
