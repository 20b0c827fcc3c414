-- forget_count_receipts: counts the receipts that hold one of some phones in their texts.
--
-- $1 phones: the phone in all its forms
select count(*)
  from rowbell.receipt as r
 where exists (select from unnest($1::text[]) as form where strpos(concat_ws(' ', r.raw, r.recipient_phone, r.error_text), form) > 0);
