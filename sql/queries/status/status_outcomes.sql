-- status_outcomes: counts where the messages stand that were opened since a moment.
--
-- There is no index on time, and the history may be long. But ids rise with time, so the first id
-- since then is found by halving: some thirty look-ups in the primary key.
--
-- $1 since: the moment
with recursive search (low, high) as (
    -- The first message since $1 has an id of at least low; all from high on are since $1.
    select coalesce(min(m.message_id), 0), coalesce(max(m.message_id), 0) + 1
      from rowbell.message as m
    union all
    select case when probe.created_at >= $1 then s.low else probe.message_id + 1 end,
           case when probe.created_at >= $1 then (s.low + s.high) / 2 else s.high end
      from search as s
     cross join lateral (
           select m.message_id, m.created_at
             from rowbell.message as m
            where m.message_id >= (s.low + s.high) / 2
            order by m.message_id
            limit 1
     ) as probe
     where s.low < s.high
)
select m.state::text, m.reason::text, count(*) as messages,
       -- Tried, and still to leave.
       count(*) filter (where m.state in ('waiting', 'scheduled') and m.attempt_count > 0) as retrying
  from rowbell.message as m
 where m.message_id >= (select min(high) from search)
   -- Clocks of several daemons differ a little, so ids rise with time only almost.
   and m.created_at >= $1
 group by m.state, m.reason
 order by m.state, m.reason;
