-- unconfirmed_take: takes unconfirmed attempts on a channel that are to be looked up now.
--
-- is_open: the message is still unconfirmed, and by this attempt. is_late: the policy of its watch has decided.
--
-- $1 channel: name of the channel
-- $2 now: the time
-- $3 limit: how many attempts at most
-- $4 next_at: when they are looked up again
with due as (
    select u.message_id, u.number
      from rowbell.unconfirmed_attempt as u
     where u.channel = $1 and u.next_at <= $2
     order by u.next_at
     limit $3
       for update skip locked
)
update rowbell.unconfirmed_attempt as u
   set next_at = $4
  from due, rowbell.message as m, rowbell.attempt as a
 where u.message_id = due.message_id and u.number = due.number
   and m.message_id = u.message_id
   and a.message_id = u.message_id and a.number = u.number
returning u.message_id, u.number, u.phone, u.phone_key, u.started_at, u.decide_at, u.asked_count,
          u.is_late, m.watch, m.parameters,
          m.state = 'unconfirmed' and m.attempt_count = u.number and a.provider_message_id is null as is_open;
