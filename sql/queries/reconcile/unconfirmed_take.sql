-- unconfirmed_take: up to $3 unconfirmed attempts on channel $1 that are to be looked into at $2, not again before $4.
--
-- is_open: the message is still unconfirmed, and by this attempt. is_late: the policy of its watch has decided.
with due as (
    select d.message_id, d.number
      from rowbell.unconfirmed_attempt as d
     where d.channel = $1 and d.next_at <= $2
     order by d.next_at
     limit $3
       for update skip locked
)
update rowbell.unconfirmed_attempt as d
   set next_at = $4
  from due, rowbell.message as m, rowbell.attempt as a
 where d.message_id = due.message_id and d.number = due.number
   and m.message_id = d.message_id
   and a.message_id = d.message_id and a.number = d.number
returning d.message_id, d.number, d.phone, d.phone_key, d.started_at, d.decide_at, d.asked_count,
          d.is_late, m.watch, m.parameters,
          m.state = 'unconfirmed' and m.attempt_count = d.number and a.provider_message_id is null as is_open;
