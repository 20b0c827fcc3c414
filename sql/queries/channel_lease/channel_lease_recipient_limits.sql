-- channel_lease_recipient_limits: reads the phones that a channel has written to lately, and when each has paid
-- that back.
--
-- What is paid back when: after the last of several messages, each moment plus the time for it and for all
-- that came after it. A phone that was written to already in the first half of the time may have owed as much as
-- it can before that, so that is assumed: later rather than too early. Phones that have paid back are absent.
--
-- $1 channel: name of the channel
-- $2 now: the time
-- $3 started_since: since when attempts count: twice burst_seconds
-- $4 seconds_each: in how many seconds one message is paid back
-- $5 burst_seconds: in how many seconds a whole burst is paid back
select sent.phone, max(sent.paid_back_at) as paid_back_at
  from (
       select s.phone,
              greatest(
                  s.left_at + s.from_here * $4::double precision * interval '1 s',
                  case when s.is_first and s.left_at < $2 - $5::double precision * interval '1 s'
                       then s.left_at + ($5::double precision + (s.from_here - 1) * $4::double precision) * interval '1 s'
                  end
              ) as paid_back_at
         from (
              select m.recipient_phone as phone,
                     left_at,
                     count(*) over latest as from_here,
                     lead(left_at) over latest is null as is_first
                from rowbell.attempt as a
                join rowbell.message as m using (message_id)
               cross join lateral (select least(coalesce(a.finished_at, $2), $2) as left_at) as at
               where a.started_at >= $3
                 and m.channel = $1
                 and (a.result is null or a.result not in ('not_sent', 'unreached', 'dry_run'))
                 and m.recipient_phone is not null
              window latest as (partition by m.recipient_phone order by left_at desc, a.message_id, a.number)
         ) as s
  ) as sent
 group by sent.phone
having max(sent.paid_back_at) > $2;
