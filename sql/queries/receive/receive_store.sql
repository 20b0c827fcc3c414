-- receive_store: keep evidence as it came, one array element each; $10 the time, $11 where from.
--
-- A provider that is asked again tells the same again; that is no new evidence and is not kept.
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
