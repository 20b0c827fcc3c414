-- status_channels: counts what waits on each channel, and for what.
--
-- What is due and has not left waits for the rate, unless its channel or watch is paused, or the circuit of its
-- channel is open. A channel that never had anything to do is absent.
--
-- $1 now: the time
-- $2 watches, $3 watch_channels: the watches of the configuration, and the channel of each
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
), counted as (
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
), apart as (
    -- What a held bulk edit changed are no messages yet.
    select w.channel, sum(h.entity_count)::bigint as held
      from unnest($2::text[], $3::text[]) as w (watch, channel)
      join rowbell.held_transaction as h on h.watch = w.watch
     group by w.channel
)
select channel, coalesce(c.open, 0) as open, coalesce(c.held, 0) + coalesce(a.held, 0) as held, coalesce(c.leased, 0) as leased,
       coalesce(c.unconfirmed, 0) as unconfirmed, c.oldest_due_at, coalesce(c.waits_for_rate, 0) as waits_for_rate,
       coalesce(c.waits_for_blocker, 0) as waits_for_blocker,
       coalesce(c.waits_for_recipient_limit, 0) as waits_for_recipient_limit,
       coalesce(c.waits_for_recipients, 0) as waits_for_recipients
  from counted as c
  full join apart as a using (channel)
 order by channel;
