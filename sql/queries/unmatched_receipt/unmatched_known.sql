-- unmatched_known: ids named since $1 that belong to an attempt by now.
--
-- Answer and receipt may be stored at the same moment by two transactions, neither of which sees the other.
select s.provider_message_id
  from rowbell.unmatched_receipt as s
  join rowbell.attempt as a using (provider_message_id)
 where s.received_at >= $1
 order by s.provider_message_id;
