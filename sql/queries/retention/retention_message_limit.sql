-- retention_message_limit: finds the first id of the messages opened since a moment; all below are older.
--
-- There is no index on time. But ids rise with time, so it is found by halving; see status_outcomes.
--
-- $1 since: the moment
with recursive search (low, high) as (
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
select min(high) as first_id from search;
