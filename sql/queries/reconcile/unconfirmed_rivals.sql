-- unconfirmed_rivals: what else may have gone to the phone ($2, as phones are compared; $5 as it was written to) on
-- channel $1 from $4 to $6, but for message $3: other requests without answer, and those that are under way.
select m.message_id, m.parameters
  from rowbell.unconfirmed_attempt as d
  join rowbell.message as m using (message_id)
 where d.channel = $1 and d.phone_key = $2 and d.message_id <> $3
   and m.state = 'unconfirmed'
   and d.decide_at >= $4 and d.started_at <= $6
union all
select m.message_id, m.parameters
  from rowbell.queue as q
  join rowbell.message as m using (message_id)
 where q.channel = $1 and q.state = 'leased' and q.message_id <> $3
   and m.recipient_phone = $5
   and q.lease_expires_at > $4;
