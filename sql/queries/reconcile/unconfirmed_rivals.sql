-- unconfirmed_rivals: reads the other messages that may have gone to the phone of an unconfirmed attempt in its
-- time: requests without answer, and those that are under way.
--
-- $1 channel: name of the channel
-- $2 phone_key: the phone, in the form in which phones are compared
-- $3 message_id: the message of the unconfirmed attempt
-- $4 started_at: when it began
-- $5 phone: the phone as it was written to
-- $6 decide_at: when the policy of its watch decides
select m.message_id, m.parameters
  from rowbell.unconfirmed_attempt as u
  join rowbell.message as m using (message_id)
 where u.channel = $1 and u.phone_key = $2 and u.message_id <> $3
   and m.state = 'unconfirmed'
   and u.decide_at >= $4 and u.started_at <= $6
union all
select m.message_id, m.parameters
  from rowbell.queue as q
  join rowbell.message as m using (message_id)
 where q.channel = $1 and q.state = 'leased' and q.message_id <> $3
   and m.recipient_phone = $5
   and q.lease_expires_at > $4;
