-- large_set_aside: sets the changes of one transaction to one watch aside. They stay where they are; claim does not take
-- them with the others of the watch any more. Too many wait for a person; fewer leave, in their own turn.
--
-- A transaction becomes visible as a whole, so nothing of it can come later. Reads it once. Others wait for it: hashes
-- are counted in a fifth of the time that texts take.
--
-- $1 watch: name of the watch
-- $2 transaction_id: the transaction
-- $3 above: only changes with ids above this
-- $4 no_deletes: the watch tells no deletes; what is recorded of them is for rows that move to another partition
-- $5 limit: how many entities leave without a question; 0: any number
with found as (
    select min(c.change_id) as first, max(c.change_id) as last,
           count(distinct hashtextextended(c.entity_key, 0))
               filter (where c.mute_reason is null and not (c.operation = 'delete' and $4)) as entities
      from rowbell.change as c
     where c.watch = $1 and c.change_id > $3 and c.transaction_id = $2::text::xid8
)
insert into rowbell.large_transaction (watch, transaction_id, first_change_id, last_change_id, entity_count, decision)
select $1, $2::text::xid8, f.first, f.last, f.entities,
       case when $5::bigint = 0 or f.entities <= $5 then 'leaves'::rowbell.large_decision end
  from found as f
 where f.first is not null
returning large_transaction_id, decision is null as is_storm;
