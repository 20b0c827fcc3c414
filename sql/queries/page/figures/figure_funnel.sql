-- figure_funnel: From changed rows to readers, day by day.
select f.day,
       sum(f.changes) as changes,
       sum(f.net_changes) as net_changes,
       sum(f.sent) as sent,
       sum(f.delivered) as delivered,
       sum(f.read) as read
  from rowbell_report.funnel as f
 where f.day > current_date - 30
 group by f.day
 order by f.day;
