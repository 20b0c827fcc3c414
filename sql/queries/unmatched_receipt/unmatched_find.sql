-- unmatched_find: finds unmatched receipts of a phone on a channel within a time.
--
-- $1 channel: name of the channel
-- $2 phone_key: the phone, in the form in which phones are compared
-- $3 from, $4 to: only receipts of events between these two
select r.provider_message_id, r.happened_at
  from rowbell.unmatched_receipt as r
 where r.channel = $1 and r.phone_key = $2
   and r.happened_at between $3 and $4
   and not exists (select from rowbell.attempt as a where a.provider_message_id = r.provider_message_id)
 order by r.happened_at;
