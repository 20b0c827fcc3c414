-- outcome_next: reads which outcome is due first, and when. Asked while there is nothing to do, so it locks nothing.
--
-- $1 watches: of these
select c.due_at, c.place
  from rowbell.outcome_call as c
 where c.watch = any ($1)
   and not exists (
       select
         from rowbell.outcome_call as earlier
        where earlier.message_id = c.message_id and earlier.place = c.place and earlier.call_id < c.call_id
   )
 order by c.due_at, c.call_id
 limit 1;
