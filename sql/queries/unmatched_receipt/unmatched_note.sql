-- unmatched_note: ids that no attempt knows ($2 id, $3 phone as phones are compared, $4 when, one array element each) on
-- channel $1; $5 the time. Unconfirmed attempts to these phones are looked into at once.
with noted as (
    insert into rowbell.unmatched_receipt (provider_message_id, channel, phone_key, happened_at, received_at)
    select s.provider_message_id, $1, s.phone_key, coalesce(s.happened_at, $5), $5
      from unnest($2::text[], $3::text[], $4::timestamptz[]) as s (provider_message_id, phone_key, happened_at)
        on conflict (provider_message_id) do nothing
)
update rowbell.unconfirmed_attempt as d
   set next_at = $5
 where d.channel = $1 and d.phone_key = any ($3) and d.next_at > $5;
