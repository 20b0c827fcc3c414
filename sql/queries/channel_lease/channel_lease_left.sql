-- channel_lease_left: counts the messages that left on a channel lately, those of one hundredth of a second
-- together.
--
-- An attempt counts from the latest moment at which it can have left: when its answer was stored, or now. What
-- certainly did not leave does not count. Reads attempt_started_idx.
--
-- $1 channel: name of the channel
-- $2 since: only messages that left after this
-- $3 now: the time
-- $4 started_since: since when an attempt may have begun that left after the former
select max(sent.left_at) as left_at, count(*) as messages
  from rowbell.attempt as a
  join rowbell.message as m using (message_id)
 cross join lateral (select least(coalesce(a.finished_at, $3), $3) as left_at) as sent
 where a.started_at >= $4
   and m.channel = $1
   and (a.result is null or a.result not in ('not_sent', 'unreached', 'dry_run'))
   and sent.left_at > $2
 group by floor(extract(epoch from sent.left_at) * 100)
 order by left_at;
