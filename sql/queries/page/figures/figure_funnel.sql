-- figure_funnel: From changed rows to readers, day by day.
select d.day,
       sum(d.changes) as changes,
       sum(d.messages - d.fallbacks) as net_changes,
       sum(d.net_sent) as sent,
       sum(d.net_delivered) as delivered,
       sum(d.net_read) as read
  from rowbell_report.day as d
 where d.day > current_date - 30
 group by d.day
 order by d.day;
