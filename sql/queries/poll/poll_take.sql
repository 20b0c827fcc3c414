-- poll_take: up to $5 groups of accepted messages of channel $1 that are due at $2, above the bound ($3, $4).
--
-- Due again at $6, in case that nobody writes what became of them. Skips what another daemon is taking.
-- The bound keeps the scan from walking entries of rows that were put off.
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
