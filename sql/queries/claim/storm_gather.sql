-- storm_gather: the messages of watch $1 that wait to leave for the first time and tell of changes
-- made since $2. They belong to the storm that was noticed only now.
select q.message_id
  from rowbell.queue as q
  join rowbell.message as m using (message_id)
 where q.watch = $1
   and q.state = 'open'
   and m.attempt_count = 0
   and m.first_changed_at >= $2
   for update of q;
