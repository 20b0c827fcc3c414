-- large_decide: decides about what a large transaction changed. Claim carries it out.
--
-- $1 large_transaction_id: the large transaction
-- $2 last_change_id: up to this change; what comes after it waits on
-- $3 entity_count: how many entities that is
-- $4 decision, $5 decision_text: what becomes of them, and why
with rest as (
    insert into rowbell.large_transaction (watch, transaction_id, hold_id, first_change_id, last_change_id, entity_count)
    select l.watch, l.transaction_id, l.hold_id, $2::bigint + 1, l.last_change_id, greatest(l.entity_count - $3::bigint, 0)
      from rowbell.large_transaction as l
     where l.large_transaction_id = $1 and l.decision is null and l.last_change_id > $2
)
update rowbell.large_transaction as l
   set decision       = $4::text::rowbell.large_decision,
       decision_text  = $5,
       last_change_id = $2,
       entity_count   = $3
 where l.large_transaction_id = $1 and l.decision is null
returning l.large_transaction_id;
