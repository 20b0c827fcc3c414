-- receive_store: keep evidence as it came, one array element each; $8 the time, $9 where from.
insert into rowbell.receipt (channel, provider_message_id, status, error_code, error_text, occurred_at, raw, received_at, source)
select r.channel, r.provider_message_id, r.status::rowbell.receipt_status, r.error_code, r.error_text, r.occurred_at, r.raw,
       $8, $9::text::rowbell.receipt_source
  from unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::timestamptz[], $7::text[])
       as r (channel, provider_message_id, status, error_code, error_text, occurred_at, raw);
