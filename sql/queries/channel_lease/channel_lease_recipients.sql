-- channel_lease_recipients: reads the phones that a channel has written to lately, and when last.
--
-- $1 channel: name of the channel
-- $2 since: only phones that were written to after this
-- $3 now: the time
-- $4 started_since: since when an attempt may have begun that left after the former
select m.recipient_phone as phone, max(least(coalesce(a.finished_at, $3), $3)) as left_at
  from rowbell.attempt as a
  join rowbell.message as m using (message_id)
 where a.started_at >= $4
   and m.channel = $1
   and (a.result is null or a.result not in ('not_sent', 'unreached', 'dry_run'))
   and m.recipient_phone is not null
 group by m.recipient_phone
having max(least(coalesce(a.finished_at, $3), $3)) > $2;
