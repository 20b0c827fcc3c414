-- unmatched_note: stores receipts whose id no attempt knows. Unconfirmed attempts to their phones are looked up at
-- once.
--
-- $1 channel: name of the channel
-- $2 provider_message_ids, $3 phone_keys, $4 happened_at: each id, the phone that it names, and when it happened
-- $5 now: the time
with noted as (
    insert into rowbell.unmatched_receipt (provider_message_id, channel, phone_key, happened_at, received_at)
    select r.provider_message_id, $1, r.phone_key, coalesce(r.happened_at, $5), $5
      from unnest($2::text[], $3::text[], $4::timestamptz[]) as r (provider_message_id, phone_key, happened_at)
        on conflict (provider_message_id) do nothing
)
update rowbell.unconfirmed_attempt as u
   set next_at = $5
 where u.channel = $1 and u.phone_key = any ($3) and u.next_at > $5;
