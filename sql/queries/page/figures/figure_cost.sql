-- figure_cost: Cost by channel, week by week, at the prices in rowbell.price.
select date_trunc('week', c.day)::date as week,
       concat_ws(', ', c.channel, c.currency) as paid,
       round(sum(c.cost), 2) as cost
  from rowbell_report.cost as c
 where c.day > current_date - 90 and c.cost is not null
 group by 1, 2
 order by 1, 2;
