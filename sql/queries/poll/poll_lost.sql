-- poll_lost: notes that no receipt about the end of messages came for too long.
--
-- They stay sent: the phone may be off for weeks, and evidence that comes later counts.
--
-- $1 message_ids: the messages
-- $2 reason_text: the sentence that says so
-- $3 now: the time
update rowbell.message as m
   set reason_text = $2,
       updated_at  = $3,
       updated_by  = 'poll_lost'
 where m.message_id = any ($1)
   and m.state = 'sent';
