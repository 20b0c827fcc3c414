-- large_find: reads the first part of a hold that waits as a transaction, and where a number of its entities end.
--
-- $1 hold_id: the hold
-- $2 limit: so many entities
select l.large_transaction_id, least(l.entity_count, $2::bigint) as entity_count,
       case when l.entity_count <= $2 then l.last_change_id
            else (select max(first.change_id)
                    from (select min(c.change_id) as change_id
                            from rowbell.change as c
                           where c.watch = l.watch and c.change_id between l.first_change_id and l.last_change_id
                             and c.transaction_id = l.transaction_id and c.mute_reason is null
                             and c.entity_key is not null
                           group by c.entity_key
                           order by min(c.change_id)
                           limit $2) as first)
       end as last_change_id
  from rowbell.large_transaction as l
 where l.hold_id = $1 and l.decision is null
 order by l.first_change_id
 limit 1
   for update;
