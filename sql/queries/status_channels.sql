-- status_channels: what waits on each channel.
--
-- A channel that never had anything to do is absent.
select q.channel,
       count(*) filter (where q.state = 'open') as open,
       count(*) filter (where q.state = 'held') as held,
       count(*) filter (where q.state = 'leased') as leased,
       count(*) filter (where q.state = 'unconfirmed') as unconfirmed,
       min(q.due_at) filter (where q.state = 'open') as oldest_due_at
  from rowbell.queue as q
 group by q.channel
 order by q.channel;
