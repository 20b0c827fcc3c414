-- storm_ahead: reads the entities that transactions changed beyond a change, as far as they stand among the next
-- changes.
--
-- Asked when a claim could not take all that a transaction may have changed, and once for each such
-- transaction. A transaction becomes visible as a whole, so nothing of it can come later.
--
-- $1 above: only changes with ids above this
-- $2 transaction_ids: the transactions
-- $3 limit: how many changes are looked at
-- $4 no_deletes: watches that tell no deletes; what is recorded of them is for rows that move to another partition
select distinct a.transaction_id::text::bigint as transaction_id, a.watch, a.entity_key
  from (
       select c.transaction_id, c.watch, c.entity_key, c.mute_reason, c.operation
         from rowbell.change as c
        where c.change_id > $1
        order by c.change_id
        limit $3
  ) as a
 where a.transaction_id = any ($2::text[]::xid8[])
   and a.entity_key is not null
   and a.mute_reason is null
   and not (a.operation = 'delete' and a.watch = any ($4));
