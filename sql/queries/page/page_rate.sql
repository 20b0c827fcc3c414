-- page_rate: counts the attempts of the last minute, by channel.
--
-- The index over the pages of attempts leads to the latest ones.
--
-- $1 now: the end of the minute
select m.channel, count(*) as attempts
  from rowbell.attempt as a
  join rowbell.message as m using (message_id)
 where a.started_at > $1::timestamptz - interval '1 minute' and a.started_at <= $1::timestamptz
 group by m.channel;
