-- figure_weeks: Sent messages by watch, week by week.
select date_trunc('week', d.day)::date as week,
       d.watch,
       sum(d.sent) as sent
  from rowbell_report.day as d
 where d.day > current_date - 90
 group by 1, 2
 order by 1, 2;
