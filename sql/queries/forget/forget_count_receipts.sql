-- forget_count_receipts: how many receipts hold one of the phones $1 in their texts.
select count(*)
  from rowbell.receipt as r
 where exists (select from unnest($1::text[]) as form where strpos(concat_ws(' ', r.raw, r.recipient_phone, r.error_text), form) > 0);
