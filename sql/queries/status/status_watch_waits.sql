-- status_watch_waits: counts the messages that wait because their watch cannot be used, and says why, as the daemon
-- found it.
select q.watch,
       count(*) as messages,
       max(m.reason_text) as why
  from rowbell.queue as q
  join rowbell.message as m on m.message_id = q.message_id
 where q.state = 'open' and m.waits_for = 'watch'
 group by q.watch
 order by q.watch;
