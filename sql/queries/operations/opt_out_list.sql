-- opt_out_list: reads phones that must not be written to, in their order.
--
-- $1 above: only phones after this
-- $2 limit: how many phones at most
select o.phone, o.since, o.reason, o.source::text
  from rowbell.opt_out as o
 where o.phone > $1
 order by o.phone
 limit $2;
