-- poll_take: takes groups of accepted messages of a channel that are due.
--
-- They are due again at next_due_at, in case that nobody writes what became of them. Skips groups that
-- another daemon is taking. The bound keeps the scan from walking entries of rows that were put off.
--
-- $1 channel: name of the channel
-- $2 now: the time
-- $3 above_due_at, $4 above_poll_id: only groups beyond this bound, in the order of due_at and poll_id
-- $5 limit: how many groups at most
-- $6 next_due_at: when the groups are due again
with due as (
    select p.poll_id, p.due_at
      from rowbell.poll as p
     where p.channel = $1
       and p.due_at <= $2
       and (p.due_at, p.poll_id) > ($3, $4)
     order by p.due_at, p.poll_id
     limit $5
       for update skip locked
)
update rowbell.poll as p
   set due_at = $6
  from due
 where p.poll_id = due.poll_id
returning p.poll_id, due.due_at, p.message_ids, p.accepted_at, p.asked_at, p.asked_count;
