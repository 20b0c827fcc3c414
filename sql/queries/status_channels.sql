-- status_channels: what waits on each channel, and for which of its limits; $1 the time.
--
-- What is due and has not left waits for the rate. A channel that never had anything to do is absent.
select q.channel,
       count(*) filter (where q.state = 'open') as open,
       count(*) filter (where q.state = 'held') as held,
       count(*) filter (where q.state = 'leased') as leased,
       count(*) filter (where q.state = 'unconfirmed') as unconfirmed,
       min(q.due_at) filter (where q.state = 'open') as oldest_due_at,
       count(*) filter (where q.state = 'open' and q.due_at <= $1) as waits_for_rate,
       count(*) filter (where starts_with(m.reason_text, 'pair limit:')) as waits_for_pair,
       count(*) filter (where starts_with(m.reason_text, 'recipient limit:')) as waits_for_recipients
  from rowbell.queue as q
  left join rowbell.message as m
    on m.message_id = q.message_id and q.state = 'open' and q.due_at > $1
 group by q.channel
 order by q.channel;
