-- metrics_read: reads the figures of /metrics that only the database knows, one a row.
--
-- Asked when somebody requests /metrics, and at no other time. Every figure has a row for each channel, so that
-- a figure without messages is 0 and not a gap. The queue is read once, from end to end: our sessions use
-- indexes, and the caller switches that off first, and sets a statement timeout.
--
-- $1 now: the time
-- $2 channels, $3 watches: those of the configuration
-- $4 lease_seconds: how many seconds a lease holds
-- $5 watch_channels: the channel of each of the watches
with queued as (
    select q.channel,
           count(*) filter (where q.state = 'open' and q.due_at <= $1) as due,
           count(*) filter (where q.state = 'open' and q.due_at > $1) as waiting,
           count(*) filter (where q.state = 'held') as held,
           count(*) filter (where q.state = 'leased') as leased,
           count(*) filter (where q.state = 'unconfirmed') as unconfirmed,
           min(least(q.due_at, q.late_since)) filter (where q.state = 'open' and least(q.due_at, q.late_since) <= $1) as due_at,
           min(q.lease_expires_at) as lease_expires_at
      from rowbell.queue as q
     group by q.channel
), figures as materialized (
    select c.channel, q.due, q.waiting, coalesce(q.held, 0) + apart.held as held, q.leased, q.unconfirmed, q.due_at, q.lease_expires_at
      from unnest($2::text[]) as c (channel)
      left join queued as q on q.channel = c.channel
     -- What a held bulk edit changed are no messages yet.
     cross join lateral (
           select coalesce(sum(h.entity_count), 0) as held
             from unnest($3::text[], $5::text[]) as w (watch, channel) join rowbell.held_transaction as h using (watch)
            where w.channel = c.channel) as apart
)
select 'rowbell_queue_messages' as metric, s.channel, n.state as word, coalesce(n.messages, 0)::float8 as value
  from figures as s
 cross join lateral (
       values ('due', s.due), ('waiting', s.waiting), ('held', s.held), ('leased', s.leased), ('unconfirmed', s.unconfirmed)
  ) as n (state, messages)
union all
select 'rowbell_oldest_due_age_seconds', s.channel, null, coalesce(extract(epoch from $1 - s.due_at), 0)::float8
  from figures as s
union all
select 'rowbell_oldest_lease_age_seconds', s.channel, null,
       coalesce(extract(epoch from $1 - s.lease_expires_at) + $4::float8, 0)::float8
  from figures as s
union all
select 'rowbell_circuits_open', c.channel, k.kind,
       (select count(*)
          from rowbell.circuit as o
         where o.channel = c.channel and o.state <> 'closed' and (o.template = '') = (k.kind = 'channel'))::float8
  from unnest($2::text[]) as c (channel)
 cross join unnest(array['channel', 'template']) as k (kind)
union all
-- The first in the order of capture. Changes of other watches, or that wait for a person, wait for nobody else.
select 'rowbell_oldest_change_age_seconds', null, null,
       coalesce((select extract(epoch from $1 - min(c.changed_at))
                   from unnest($3::text[]) as w (watch), lateral (
                        select c.changed_at
                          from rowbell.change_to_claim as c
                         where c.watch = w.watch
                         order by c.change_id
                         limit 1
                  ) as c), 0)::float8
union all
select 'rowbell_notification_queue_usage_ratio', null, null, pg_notification_queue_usage();
