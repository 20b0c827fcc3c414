-- large_set_aside: sets the changes of one transaction to one watch aside. They stay where they are; claim does not take
-- them with the others of the watch any more. Too many wait for a person; fewer leave, in their own turn.
--
-- A transaction becomes visible as a whole, so nothing of it can come later. Reads it once.
--
-- $1 watch: name of the watch
-- $2 transaction_id: the transaction
-- $3 above: only changes with ids above this
-- $4 no_deletes: the watch tells no deletes; what is recorded of them is for rows that move to another partition
-- $5 limit: how many entities leave without a question; 0: any number
with found as (
    select c.change_id, c.entity_key, c.mute_reason is null and not (c.operation = 'delete' and $4) as is_told
      from rowbell.change as c
     where c.watch = $1 and c.change_id > $3 and c.transaction_id = $2::text::xid8
), counted as (
    select count(*) as entities
      from (select from found as f where f.is_told and f.entity_key is not null group by f.entity_key) as entity
)
insert into rowbell.large_transaction (watch, transaction_id, first_change_id, last_change_id, entity_count, decision)
select $1, $2::text::xid8, min(f.change_id), max(f.change_id), (select c.entities from counted as c),
       case when $5::bigint = 0 or (select c.entities from counted as c) <= $5 then 'leaves'::rowbell.large_decision end
  from found as f
having count(*) > 0
returning large_transaction_id, decision is null as is_storm;
