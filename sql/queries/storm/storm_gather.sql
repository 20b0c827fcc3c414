-- storm_gather: locks the messages of a watch that wait to leave for the first time and tell of recent changes.
-- They belong to the storm that was noticed only now.
--
-- $1 watch: name of the watch
-- $2 since: only changes that were made since this moment
select q.message_id
  from rowbell.queue as q
  join rowbell.message as m using (message_id)
 where q.watch = $1
   and q.state = 'open'
   and m.attempt_count = 0
   and m.first_changed_at >= $2
   for update of q;
