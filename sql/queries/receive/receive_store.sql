-- receive_store: stores evidence as it came, one array element each.
--
-- A provider that is asked again says the same again; that is no new evidence and is not stored.
--
-- $1 channels, $2 provider_message_ids, $3 statuses: each receipt, and what it says
-- $4 error_codes, $5 error_titles, $6 error_texts: the error that it names
-- $7 occurred_at: when it happened, as the provider says
-- $8 recipient_phones, $9 raw: the phone that it names, and the receipt as it came
-- $10 now: the time
-- $11 source: a word of rowbell.evidence_source
insert into rowbell.receipt (
    channel, provider_message_id, status, error_code, error_title, error_text, occurred_at, recipient_phone, raw,
    received_at, source
)
select r.channel, r.provider_message_id, r.status::rowbell.receipt_status, r.error_code, r.error_title, r.error_text,
       r.occurred_at, r.recipient_phone, r.raw, $10, $11::text::rowbell.evidence_source
  from unnest(
       $1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::timestamptz[], $8::text[], $9::text[]
  ) as r (channel, provider_message_id, status, error_code, error_title, error_text, occurred_at, recipient_phone, raw)
 where $11 = 'webhook'
    or not exists (
       select from rowbell.receipt as known
        where known.provider_message_id = r.provider_message_id
          and known.source = $11::text::rowbell.evidence_source
          and known.status = r.status::rowbell.receipt_status
          and known.error_code is not distinct from r.error_code
 );
