-- receive_store: stores evidence as it came, one array element each; returns the ids of which something is new.
--
-- A provider that posts or is asked again says the same again; that is no new evidence. What is posted is the same if
-- its words and its time are: it is counted, not stored again. What is asked for is the same if its status and code are.
--
-- $1 channels, $2 provider_message_ids, $3 statuses: each receipt, and what it says
-- $4 error_codes, $5 error_titles, $6 error_texts: the error that it names
-- $7 occurred_at: when it happened, as the provider says
-- $8 recipient_phones, $9 raw: the phone that it names, and the receipt as it came
-- $10 now: the time
-- $11 source: a word of rowbell.evidence_source
-- $12 price_categories, $13 pricing_models, $14 is_billable: what it says of the price
with said as (
    select distinct on (channel, provider_message_id, status, error_code, error_text, occurred_at) r.*,
           count(*) over (partition by channel, provider_message_id, status, error_code, error_text, occurred_at) as times
      from unnest(
           $1::text[], $2::text[], $3::text[]::rowbell.receipt_status[], $4::integer[], $5::text[], $6::text[],
           $7::timestamptz[], $8::text[], $9::text[], $12::text[], $13::text[], $14::boolean[]
      ) with ordinality as r (
           channel, provider_message_id, status, error_code, error_title, error_text, occurred_at, recipient_phone,
           raw, price_category, pricing_model, is_billable, place
      )
     order by channel, provider_message_id, status, error_code, error_text, occurred_at, place
), known as (
    select s.place, s.times, first.receipt_id
      from said as s
     cross join lateral (
           select r.receipt_id
             from rowbell.receipt as r
            where r.provider_message_id = s.provider_message_id
              and r.channel = s.channel
              and r.source = $11::text::rowbell.evidence_source
              and r.status = s.status
              and r.error_code is not distinct from s.error_code
              and ($11 <> 'webhook'
                   or (r.occurred_at is not distinct from s.occurred_at
                       and r.error_text is not distinct from s.error_text))
            order by r.receipt_id
            limit 1
     ) as first
), locked as (
    -- In one order for all, so that two deliveries never wait for each other.
    select r.receipt_id
      from rowbell.receipt as r
     where $11 = 'webhook' and r.receipt_id in (select k.receipt_id from known as k)
     order by r.receipt_id
       for update
), counted as (
    update rowbell.receipt as r
       set repeats = r.repeats + k.times
      from known as k
      join locked as l on l.receipt_id = k.receipt_id
     where r.receipt_id = k.receipt_id
)
insert into rowbell.receipt (
    channel, provider_message_id, status, error_code, error_title, error_text, occurred_at, recipient_phone, raw,
    received_at, source, repeats, price_category, pricing_model, is_billable
)
select s.channel, s.provider_message_id, s.status, s.error_code, s.error_title, s.error_text,
       s.occurred_at, s.recipient_phone, s.raw, $10, $11::text::rowbell.evidence_source, s.times - 1, s.price_category, s.pricing_model, s.is_billable
  from said as s
 where s.place not in (select k.place from known as k)
 order by s.place
returning provider_message_id;
