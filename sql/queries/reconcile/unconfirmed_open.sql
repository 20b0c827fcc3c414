-- unconfirmed_open: notes that the provider may have an attempt.
--
-- $1 message_id, $2 number: the attempt
-- $3 phone_key: its phone, in the form in which phones are compared
-- $4 decide_at: when the policy of its watch decides
-- $5 next_at: when evidence is looked for first
insert into rowbell.unconfirmed_attempt (message_id, number, channel, template, phone, phone_key, started_at, decide_at, next_at)
select m.message_id, a.number, m.channel, coalesce(m.template, ''), m.recipient_phone, $3, a.started_at, $4, $5
  from rowbell.message as m
  join rowbell.attempt as a using (message_id)
 where m.message_id = $1 and a.number = $2 and m.recipient_phone is not null
   -- What became of another one's request is looked for there.
   and a.carried_by is null
    on conflict (message_id, number) do nothing;
