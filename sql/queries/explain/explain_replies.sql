-- explain_replies: reads what customers answered to messages.
--
-- $1 message_ids: the messages
select r.message_id, r.kind::text, r.body, r.payload, coalesce(r.written_at, r.received_at) as replied_at
  from rowbell.reply as r
 where r.message_id = any ($1)
 order by r.reply_id;
