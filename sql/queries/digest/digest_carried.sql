-- digest_carried: reads which messages the request of an attempt said besides its own.
--
-- Those for which it is still the last attempt, in the order in which they are locked.
--
-- $1 message_id, $2 number: the attempt
select m.message_id, a.number
  from rowbell.attempt as a
  join rowbell.message as m using (message_id)
 where a.carried_by = $1
   and a.carried_number = $2
   and m.attempt_count = a.number
 order by m.message_id;
