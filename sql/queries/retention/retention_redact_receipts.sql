-- retention_redact_receipts: removes the texts of the next receipts, also of those that no message ever claimed.
-- Gives the last id that was looked at, and how many had any.
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
), picked as (
    select r.receipt_id
      from rowbell.receipt as r
     where r.receipt_id = any (array(select receipt_id from looked))
       and (r.raw is not null or r.recipient_phone is not null or r.error_text is not null)
       for update skip locked
), done as (
    update rowbell.receipt as r
       set raw             = null,
           recipient_phone = null,
           error_text      = null
      from picked as p
     where r.receipt_id = p.receipt_id
 returning r.receipt_id
)
select (select max(receipt_id) from looked) as last_id, count(*) as done from done;
