-- status_leases: who sends on each channel at $1, and what it has learned about the rate.
select c.channel,
       case when c.lease_expires_at > $1 then c.leased_by end as leased_by,
       c.learned_rate,
       c.learned_at
  from rowbell.channel as c;
