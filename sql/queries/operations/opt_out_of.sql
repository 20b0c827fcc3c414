-- opt_out_of: reads what a phone must not be told of.
--
-- $1 phones: the forms of the phone
select o.phone, o.scope, o.since, o.reason, o.source::text, o.origin
  from rowbell.opt_out as o
 where o.phone = any ($1)
 order by o.scope, o.phone;
