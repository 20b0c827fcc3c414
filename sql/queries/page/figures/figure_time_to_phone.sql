-- figure_time_to_phone: Seconds from the change to the phone, day by day: half of the messages took at most so long.
select d.day,
       max(d.median_seconds_to_sent) as to_sent,
       max(d.median_seconds_to_delivered) as to_delivered
  from rowbell_report.delivery_by_day as d
 where d.day > current_date - 30
 group by d.day
 order by d.day;
