-- explain_deliveries: reads which outcomes of messages were posted to endpoints of the application.
--
-- $1 message_ids: the messages
select d.message_id, d.endpoint, d.outcome::text, d.state::text, d.attempt_count, d.last_error,
       coalesce(d.ended_at, d.stored_at) as happened_at
  from rowbell.outgoing_delivery as d
 where d.message_id = any ($1)
 order by d.delivery_id;
