-- status_channels: what waits on each channel, and for what; $1 the time.
--
-- What is due and has not left waits for the rate, unless its channel or watch is paused, or its channel stopped
-- by errors. A channel that never had anything to do is absent.
with waiting as (
    select q.channel, q.state, q.due_at, q.due_at <= $1 as is_due, m.waits_for,
           c.name is not null or w.name is not null or s.channel is not null as is_stopped
      from rowbell.queue as q
      left join rowbell.message as m
        on m.message_id = q.message_id and q.state = 'open' and q.due_at > $1
      left join rowbell.pause as c on c.kind = 'channel' and c.name = q.channel
      left join rowbell.pause as w on w.kind = 'watch' and w.name = q.watch
      left join rowbell.circuit as s
        on s.channel = q.channel and s.template = '' and s.language = '' and s.state <> 'closed'
)
select w.channel,
       count(*) filter (where w.state = 'open') as open,
       count(*) filter (where w.state = 'held') as held,
       count(*) filter (where w.state = 'leased') as leased,
       count(*) filter (where w.state = 'unconfirmed') as unconfirmed,
       min(w.due_at) filter (where w.state = 'open' and not w.is_stopped) as oldest_due_at,
       count(*) filter (where w.state = 'open' and w.is_due and not w.is_stopped) as waits_for_rate,
       count(*) filter (where w.state = 'open' and w.is_due and w.is_stopped) as waits_for_stop,
       count(*) filter (where w.waits_for = 'per_recipient_limit') as waits_for_pair,
       count(*) filter (where w.waits_for = 'unique_recipients') as waits_for_recipients
  from waiting as w
 group by w.channel
 order by w.channel;
