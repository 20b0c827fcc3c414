-- figure_time_to_phone: Seconds from the change to the phone, day by day: half of the messages took at most so long.
select l.day,
       max(l.p50_seconds) filter (where l.step = '1 first change to sent') as to_sent,
       max(l.p50_seconds) filter (where l.step = '5 first change to delivered') as to_delivered
  from rowbell_report.day_latency as l
 where l.day > current_date - 30
 group by l.day
 order by l.day;
