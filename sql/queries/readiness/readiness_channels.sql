-- readiness_channels: reads whether some daemon sends on each channel, why it does not, and what is known of its receipts.
--
-- $1 now: the time
-- $2 channels: the channels of the configuration
select w.channel,
       coalesce(c.lease_expires_at > $1, false) as is_owned,
       (select c.reason from rowbell.circuit as c
         where c.channel = w.channel and c.template = '' and c.state <> 'closed') as stopped_by,
       (select max(s.last_worked_at)
          from rowbell.receipt_source as s
         where s.channel = w.channel and s.kind in ('webhook', 'polling')) as heard_at,
       exists (select from rowbell.receipt_source as s
                where s.channel = w.channel and s.kind = 'registration' and s.state <> 'works') as is_unregistered,
       exists (select from rowbell.receipt_source as s
                where s.channel = w.channel and s.kind = 'polling' and s.state <> 'works') as is_not_answered
  from unnest($2::text[]) as w (channel)
  left join rowbell.channel as c on c.channel = w.channel;
