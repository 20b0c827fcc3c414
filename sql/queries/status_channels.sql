-- status_channels: what waits on each channel, and whether the channel itself is stopped.
--
-- A channel that never had anything to do is absent.
select coalesce(q.channel, c.channel) as channel,
       coalesce(q.open, 0) as open,
       coalesce(q.held, 0) as held,
       coalesce(q.leased, 0) as leased,
       coalesce(q.unconfirmed, 0) as unconfirmed,
       q.oldest_due_at,
       coalesce(c.is_paused, false) as is_paused,
       c.paused_reason,
       coalesce(c.circuit, 'closed') as circuit,
       c.circuit_reason
  from (
       select channel,
              count(*) filter (where state = 'open') as open,
              count(*) filter (where state = 'held') as held,
              count(*) filter (where state = 'leased') as leased,
              count(*) filter (where state = 'unconfirmed') as unconfirmed,
              min(due_at) filter (where state = 'open') as oldest_due_at
         from rowbell.queue
        group by channel
  ) as q
  full join rowbell.channel as c using (channel)
 order by 1;
