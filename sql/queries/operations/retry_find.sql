-- retry_find: finds the last messages that did not leave, or may not have.
--
-- There is no index on time; the first id since a moment is found by halving, see status_outcomes.
--
-- $1 watch: only messages of this watch; null: of any
-- $2 reasons: only for these reasons; null: for any; unconfirmed counts as one
-- $3 since: only messages that were opened since this moment
-- $4 limit: how many messages at most; null: all
with recursive search (low, high) as (
    select coalesce(min(m.message_id), 0), coalesce(max(m.message_id), 0) + 1
      from rowbell.message as m
    union all
    select case when probe.created_at >= $3 then s.low else probe.message_id + 1 end,
           case when probe.created_at >= $3 then (s.low + s.high) / 2 else s.high end
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
select m.message_id
  from rowbell.message as m
 where m.message_id >= (select min(high) from search)
   and m.created_at >= $3
   and m.state in ('failed', 'skipped', 'unconfirmed')
   and ($1::text is null or m.watch = $1)
   and ($2::text[] is null or coalesce(m.reason::text, m.state::text) = any ($2))
 order by m.message_id desc
 limit $4;
