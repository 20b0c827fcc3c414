-- forget_receipts: redacts those of the next receipts that hold a phone, also those that no message ever claimed.
-- Gives the last id that was looked at.
--
-- $1 above: only receipts with ids above this
-- $2 phones: the phone in all its forms
-- $3 limit: how many receipts are looked at
with looked as (
    select r.receipt_id, concat_ws(' ', r.raw, r.recipient_phone, r.error_text) as text
      from rowbell.receipt as r
     where r.receipt_id > $1
     order by r.receipt_id
     limit $3
), done as (
    update rowbell.receipt as r
       set raw             = null,
           recipient_phone = null,
           error_text      = null
      from looked as l
     where r.receipt_id = l.receipt_id
       and exists (select from unnest($2::text[]) as form where strpos(l.text, form) > 0)
 returning r.receipt_id
)
select (select max(receipt_id) from looked) as last_id, count(*) as done from done;
