-- storm_ahead: reads the entities that transactions changed beyond a change of each watch, as far as they stand among
-- the next changes.
--
-- Asked when a claim could not take all that a transaction may have changed, and once for each such
-- transaction. A transaction becomes visible as a whole, so nothing of it can come later.
--
-- $1 watches, $2 above: the watches, and of each only changes with ids above this
-- $3 transaction_ids: the transactions
-- $4 limit: how many changes of each watch are looked at
-- $5 no_deletes: watches that tell no deletes; what is recorded of them is for rows that move to another partition
select distinct a.transaction_id::text::bigint as transaction_id, a.watch, a.entity_key
  from unnest($1::text[], $2::bigint[]) as w (watch, above)
 cross join lateral (
       select c.transaction_id, c.watch, c.entity_key, c.mute_reason, c.operation
         from rowbell.change as c
        where c.watch = w.watch and c.change_id > w.above
        order by c.change_id
        limit $4
  ) as a
 where a.transaction_id = any ($3::text[]::xid8[])
   and a.entity_key is not null
   and a.mute_reason is null
   and not (a.operation = 'delete' and a.watch = any ($5));
