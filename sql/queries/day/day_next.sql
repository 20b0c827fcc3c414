-- day_next: takes the latest day that has to be counted, and that nobody counts now.
select s.day::text
  from rowbell.day_span as s
 where s.is_due
 order by s.day desc
 limit 1
   for update skip locked;
