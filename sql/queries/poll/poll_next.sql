-- poll_next: reads when the next group of accepted messages of a channel is due.
--
-- $1 channel: name of the channel
select p.due_at
  from rowbell.poll as p
 where p.channel = $1
 order by p.due_at, p.poll_id
 limit 1;
