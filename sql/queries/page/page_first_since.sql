-- page_first_since: finds the first message that was opened since a moment.
--
-- Ids rise with time, so it is found by halving, as status_outcomes does.
--
-- $1 since: the moment
with recursive search (low, high) as (
    select coalesce(min(m.message_id), 0), coalesce(max(m.message_id), 0) + 1
      from rowbell.message as m
    union all
    select case when probe.created_at >= $1::timestamptz then s.low else probe.message_id + 1 end,
           case when probe.created_at >= $1::timestamptz then (s.low + s.high) / 2 else s.high end
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
select min(high) as message_id
  from search;
