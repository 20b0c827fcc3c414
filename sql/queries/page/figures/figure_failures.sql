-- figure_failures: Failed messages by reason, week by week.
select date_trunc('week', f.first_changed_at)::date as week,
       f.reason,
       count(*) as messages
  from rowbell_report.failures as f
 where f.first_changed_at > current_date - 90
 group by 1, 2
 order by 1, 2;
