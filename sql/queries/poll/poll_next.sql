-- poll_next: when the next group of accepted messages of channel $1 is due.
select p.due_at
  from rowbell.poll as p
 where p.channel = $1
 order by p.due_at, p.poll_id
 limit 1;
