-- poll_lost: nothing was heard of the end of messages $1 for too long: says so ($2); $3 the time.
--
-- They stay sent: the phone may be off for weeks, and evidence that comes later counts.
update rowbell.message as m
   set reason_text = $2,
       updated_at  = $3,
       updated_by  = 'poll_lost'
 where m.message_id = any ($1)
   and m.state = 'sent';
