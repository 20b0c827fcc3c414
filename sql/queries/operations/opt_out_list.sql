-- opt_out_list: reads phones that must not be written to, in their order.
--
-- $1 phone, $2 scope: only what comes after this
-- $3 limit: how many at most
select o.phone, o.scope, o.since, o.reason, o.source::text, o.origin
  from rowbell.opt_out as o
 where (o.phone, o.scope) > ($1::text, $2::text)
 order by o.phone, o.scope
 limit $3;
