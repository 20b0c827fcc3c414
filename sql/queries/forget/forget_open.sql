-- forget_open: how many of the messages $1 still have to leave, and how many are leaving right now.
select count(*) filter (where m.state in ('waiting', 'scheduled', 'held')) as open,
       count(*) filter (where m.state = 'sending') as sending
  from rowbell.message as m
 where m.message_id = any ($1);
