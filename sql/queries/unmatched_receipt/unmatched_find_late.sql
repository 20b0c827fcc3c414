-- unmatched_find_late: ids that receipts named for the phone $2 on channel $1 after $4, and that no attempt knows: up to
-- $5 of those that tell a time between $3 and $4, and of those that tell none (is_untimed).
select s.provider_message_id, s.happened_at = s.received_at as is_untimed
  from rowbell.unmatched_receipt as s
 where s.channel = $1 and s.phone_key = $2
   and s.received_at > $4
   and (s.happened_at between $3 and $4 or s.happened_at = s.received_at)
   and not exists (select from rowbell.attempt as a where a.provider_message_id = s.provider_message_id)
 order by s.received_at
 limit $5;
