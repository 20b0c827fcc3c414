-- unmatched_known: finds unmatched receipts whose id belongs to an attempt by now.
--
-- Answer and receipt may be stored at the same moment by two transactions, neither of which sees the other.
--
-- $1 since: only receipts that came since this
select r.provider_message_id
  from rowbell.unmatched_receipt as r
  join rowbell.attempt as a using (provider_message_id)
 where r.received_at >= $1
 order by r.provider_message_id;
