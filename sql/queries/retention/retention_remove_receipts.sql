-- retention_remove_receipts: removes the next receipts. Gives the last id that was looked at, and how many went.
--
-- $1 above, $2 below: only ids between these two
-- $3 limit: how many receipts are looked at
with looked as (
    select r.receipt_id
      from rowbell.receipt as r
     where r.receipt_id > $1
       and r.receipt_id < $2
     order by r.receipt_id
     limit $3
       for update skip locked
), done as (
    delete from rowbell.receipt as r
     using looked as l
     where r.receipt_id = l.receipt_id
 returning r.receipt_id
)
select (select max(receipt_id) from looked) as last_id, count(*) as done from done;
