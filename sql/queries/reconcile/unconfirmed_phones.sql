-- unconfirmed_phones: reads to which phones attempts are unconfirmed, on which channel and with which template.
--
-- $1 now: the time
select u.message_id, u.channel, u.phone, u.template
  from rowbell.unconfirmed_attempt as u
  join rowbell.message as m using (message_id)
 where m.state = 'unconfirmed' and u.decide_at > $1;
