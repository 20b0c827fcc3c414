-- status_channels: counts what waits on each channel, and for what.
--
-- What is due and has not left waits for the rate, unless its channel or watch is paused, or the circuit of its
-- channel is open. A channel that never had anything to do is absent.
--
-- $1 now: the time
with waiting as (
    select q.channel, q.state, least(q.due_at, q.late_since) as due_at, q.due_at <= $1 as is_due, m.waits_for,
           c.name is not null or w.name is not null or s.channel is not null as is_blocked
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
       min(w.due_at) filter (where w.state = 'open' and not w.is_blocked) as oldest_due_at,
       count(*) filter (where w.state = 'open' and w.is_due and not w.is_blocked) as waits_for_rate,
       count(*) filter (where w.state = 'open' and w.is_due and w.is_blocked) as waits_for_blocker,
       count(*) filter (where w.waits_for = 'per_recipient_limit') as waits_for_recipient_limit,
       count(*) filter (where w.waits_for = 'unique_recipients') as waits_for_recipients
  from waiting as w
 group by w.channel
 order by w.channel;
