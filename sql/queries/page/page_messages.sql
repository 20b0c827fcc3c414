-- page_messages: reads messages, latest first. What is null does not narrow it.
--
-- $1 watch, $2 entity_key: of this watch, of this row
-- $3 state, $4 reason: that ended so
-- $5 phones: to one of these
-- $6 from, $7 before: with ids of at least the one, and below the other
-- $8 limit: how many at most
select m.message_id, m.watch, m.entity_key, m.state::text, m.reason::text, m.operation::text,
       m.recipient_name, m.recipient_phone, m.channel, m.first_changed_at, m.due_at, m.finished_at
  from rowbell.message as m
 where ($1::text is null or m.watch = $1)
   and ($2::text is null or m.entity_key = $2)
   and ($3::text is null or m.state = $3::rowbell.message_state)
   and ($4::text is null or m.reason = $4::rowbell.message_reason)
   and ($5::text[] is null or m.recipient_phone = any ($5))
   and m.message_id >= $6 and m.message_id < $7
 order by m.message_id desc
 limit $8;
