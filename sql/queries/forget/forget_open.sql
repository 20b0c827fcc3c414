-- forget_open: counts the messages that still have to leave, and those that are leaving right now.
--
-- $1 message_ids: the messages
select count(*) filter (where m.state in ('waiting', 'scheduled', 'held')) as open,
       count(*) filter (where m.state = 'sending') as sending
  from rowbell.message as m
 where m.message_id = any ($1);
