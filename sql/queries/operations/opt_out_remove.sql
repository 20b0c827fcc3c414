-- opt_out_remove: removes the opt-outs of phones. Gives how many were there, and the watches that they are still not
-- told of.
--
-- $1 phones: the phones that may be written to again
-- $2 scope: the watch that they may be told of again; empty: whatever is not excepted by itself
with removed as (
    delete from rowbell.opt_out where phone = any ($1) and scope = $2
 returning phone
)
select (select count(*) from removed) as removed,
       array(select distinct o.scope from rowbell.opt_out as o where o.phone = any ($1) and o.scope <> $2 order by o.scope) as others;
