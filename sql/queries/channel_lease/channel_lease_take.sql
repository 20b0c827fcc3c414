-- channel_lease_take: renews the right of a daemon to send on channels, and takes those whose holder is gone.
--
-- A holder is gone when its time has run out, or when no session of it is connected to this database. A row that
-- is not to be had is not even locked. Locks are taken in the order of names, so that two daemons that
-- start together do not wait for each other.
--
-- $1 instance: the daemon
-- $2 channels: names of the channels
-- $3 now: the time
-- $4 lease_expires_at: when the leases end
insert into rowbell.channel as c (channel, leased_by, lease_expires_at, epoch, updated_at)
select wanted.channel, $1, $4, 1, $3
  from unnest($2::text[]) as wanted (channel)
  left join rowbell.channel as known on known.channel = wanted.channel
 where known.leased_by is null
    or known.leased_by = $1
    or known.lease_expires_at <= $3
    or not rowbell.is_connected(known.leased_by)
 order by wanted.channel
    on conflict (channel) do update
   set leased_by        = excluded.leased_by,
       lease_expires_at = excluded.lease_expires_at,
       epoch            = c.epoch + case when c.leased_by = excluded.leased_by then 0 else 1 end,
       updated_at       = excluded.updated_at
 -- Somebody else may have been quicker.
 where c.leased_by is null
    or c.leased_by = excluded.leased_by
    or (c.leased_by, c.lease_expires_at) = (
       select k.leased_by, k.lease_expires_at from rowbell.channel as k where k.channel = c.channel
       )
returning c.channel, c.epoch, c.learned_rate, c.learned_at;
