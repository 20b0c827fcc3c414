-- opt_out_list: up to $2 phones that must not be written to, after phone $1, in their order.
select o.phone, o.since, o.reason, o.source::text
  from rowbell.opt_out as o
 where o.phone > $1
 order by o.phone
 limit $2;
