-- channel_lease_recipients: phones that channel $1 has written to since $2, and when last; $3 the time, $4 since when an
-- attempt may have been begun that left only then.
select m.recipient_phone as phone, max(least(coalesce(a.finished_at, $3), $3)) as left_at
  from rowbell.attempt as a
  join rowbell.message as m using (message_id)
 where a.started_at >= $4
   and m.channel = $1
   and (a.result is null or a.result not in ('not_sent', 'dry_run'))
   and m.recipient_phone is not null
 group by m.recipient_phone
having max(least(coalesce(a.finished_at, $3), $3)) > $2;
