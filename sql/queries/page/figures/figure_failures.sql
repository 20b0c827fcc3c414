-- figure_failures: Failed messages by reason, week by week.
select date_trunc('week', d.day)::date as week,
       d.reason,
       sum(d.messages) as messages
  from rowbell_report.day as d
 where d.day > current_date - 90 and d.state = 'failed'
 group by 1, 2
 order by 1, 2;
