-- due_times_set_back: brings forward what was put off by a clock that has been set back since.
--
-- What waits for a moment of the calendar is looked at too early by it, and put off again.
--
-- $1 channels: names of the channels
-- $2 now: the time
-- $3 seconds: by how much the clock was set back
update rowbell.queue as q
   set due_at = q.due_at - $3::double precision * interval '1 s'
 where q.channel = any ($1)
   and q.state = 'open'
   and q.due_at > $2;
