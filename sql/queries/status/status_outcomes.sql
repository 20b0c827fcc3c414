-- status_outcomes: counts where the messages stand that were opened since a moment.
--
-- $1 since: the moment
select m.state::text, m.reason::text, count(*) as messages,
       -- Tried, and still to leave.
       count(*) filter (where m.state in ('waiting', 'scheduled') and m.attempt_count > 0) as retrying
  from rowbell.message as m
 where m.message_id >= (select rowbell.first_message_since($1))
   -- Clocks of several daemons differ a little, so ids rise with time only almost.
   and m.created_at >= $1
 group by m.state, m.reason
 order by m.state, m.reason;
