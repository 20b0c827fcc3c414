-- poll_look: reads where accepted messages stand. Those that wait for another attempt are absent.
--
-- $1 message_ids: the messages
select m.message_id, m.provider_message_id, m.state::text, m.finished_at
  from rowbell.message as m
 where m.message_id = any ($1)
   and m.state in ('sent', 'delivered', 'failed')
   and m.provider_message_id is not null;
