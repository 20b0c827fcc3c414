-- page_unconfirmed: reads the messages whose request got no answer, oldest first.
--
-- $1 limit: how many at most
select m.message_id
  from (select u.message_id from rowbell.unconfirmed_attempt as u
         union
        select q.message_id from rowbell.queue as q where q.state = 'unconfirmed') as open
  join rowbell.message as m using (message_id)
 where m.state = 'unconfirmed'
 order by m.message_id
 limit $1;
