-- status_leases: reads which daemon sends on each channel, and the rate that it has learned.
--
-- $1 now: the time
select c.channel,
       case when c.lease_expires_at > $1 then c.leased_by end as leased_by,
       c.learned_rate,
       c.learned_at
  from rowbell.channel as c;
