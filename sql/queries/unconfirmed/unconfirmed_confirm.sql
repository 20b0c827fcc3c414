-- unconfirmed_confirm: writes who says that an unconfirmed message arrived. The caller moves it to delivered.
--
-- $1 message_id: the message
-- $2 confirmed_by: who says it
-- $3 now: the time
update rowbell.message as m
   set confirmed_by = $2,
       sent_at      = coalesce(a.started_at, $3),
       updated_at   = $3,
       updated_by   = 'unconfirmed_confirm'
  from rowbell.message as this
  left join rowbell.attempt as a on a.message_id = this.message_id and a.number = this.attempt_count
 where m.message_id = $1
   and this.message_id = m.message_id
   and m.state = 'unconfirmed';
