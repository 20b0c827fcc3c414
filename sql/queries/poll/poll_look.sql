-- poll_look: where the accepted messages $1 stand. Those that wait for another attempt are absent.
select m.message_id, m.provider_message_id, m.state::text, m.finished_at
  from rowbell.message as m
 where m.message_id = any ($1)
   and m.state in ('sent', 'delivered', 'failed')
   and m.provider_message_id is not null;
