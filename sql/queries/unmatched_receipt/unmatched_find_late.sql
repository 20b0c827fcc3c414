-- unmatched_find_late: finds unmatched receipts of a phone on a channel that came after the policy of the watch had
-- decided: of those that give a time, the ones between from and decided_at; of those that give none (is_untimed),
-- all.
--
-- $1 channel: name of the channel
-- $2 phone_key: the phone, in the form in which phones are compared
-- $3 from: only receipts of events since this
-- $4 decided_at: when the policy decided
-- $5 limit: how many receipts at most
select r.provider_message_id, r.happened_at = r.received_at as is_untimed
  from rowbell.unmatched_receipt as r
 where r.channel = $1 and r.phone_key = $2
   and r.received_at > $4
   and (r.happened_at between $3 and $4 or r.happened_at = r.received_at)
   and not exists (select from rowbell.attempt as a where a.provider_message_id = r.provider_message_id)
 order by r.received_at
 limit $5;
