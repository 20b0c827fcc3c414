-- forget_receipts: redacts the texts of receipts with ids above $1 that hold one of the phones $2, also
-- of those that no message ever claimed, in the next $3. Gives the last id that was looked at.
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
