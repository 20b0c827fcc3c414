-- large_advance: large transactions that it is decided about go on after what was taken of them; those of which nothing
-- is left go.
--
-- $1 large_transaction_ids, $2 change_ids: what was taken of each, up to which change
-- $3 is_full: whether something may be left of the others
with reached as (
    select * from unnest($1::bigint[], $2::bigint[]) as r (large_transaction_id, change_id)
), moved as (
    update rowbell.large_transaction as l
       set first_change_id = r.change_id + 1
      from reached as r
     where l.large_transaction_id = r.large_transaction_id and l.last_change_id > r.change_id and $3
)
delete from rowbell.large_transaction as l
 where l.decision is not null
   and (not $3 or exists (select from reached as r
                           where r.large_transaction_id = l.large_transaction_id and r.change_id >= l.last_change_id));
