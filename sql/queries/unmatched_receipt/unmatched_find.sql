-- unmatched_find: ids that receipts named for the phone $2 on channel $1 from $3 to $4, and that no attempt knows.
select s.provider_message_id, s.happened_at
  from rowbell.unmatched_receipt as s
 where s.channel = $1 and s.phone_key = $2
   and s.happened_at between $3 and $4
   and not exists (select from rowbell.attempt as a where a.provider_message_id = s.provider_message_id)
 order by s.happened_at;
