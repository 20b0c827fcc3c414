-- compose_unconfirmed: reads what entities may have read although nobody knows: the rows of requests without an
-- answer since something was told for certain, and what was muted since, oldest first.
--
-- Asked only for entities with nothing to tell, so that a row that went back is not kept from those who
-- perhaps read that it had changed.
--
-- $1 watch, $2 entity_keys: the entities, all of one watch
-- $3 counts_unconfirmed: whether unconfirmed messages count as told
with latest as (
    select e.ordinal, m.*,
           m.reason is not distinct from 'muted' as is_muted,
           m.state in ('sent', 'delivered', 'read') or (m.state = 'unconfirmed' and $3) as is_told
      from unnest($2::text[]) with ordinality as e (entity_key, ordinal)
     -- What was told last takes the place of all that was opened before it.
     cross join lateral (
           select max(t.message_id) as message_id
             from rowbell.message as t
            where t.watch = $1 and t.entity_key = e.entity_key
              and (t.state in ('sent', 'delivered', 'read') or (t.state = 'unconfirmed' and $3))
           ) as last
      join rowbell.message as m
        on m.watch = $1 and m.entity_key = e.entity_key and m.message_id >= coalesce(last.message_id, 0)
     where m.redacted_at is null
       and (m.unconfirmed_row is not null or m.reason = 'muted' or m.state in ('unconfirmed', 'sent', 'delivered', 'read'))
), known as (
    select s.ordinal, s.message_id, s.is_muted, s.is_told, s.old_row,
           case when s.is_muted then s.new_row else coalesce(s.unconfirmed_row, s.new_row, 'null') end as row,
           -- The row is read at the start of an attempt; the unconfirmed row is that of the first without an answer.
           coalesce(case when s.is_told then max(a.started_at)
                         else min(a.started_at) filter (where a.result = 'unknown') end, s.created_at) as told_at
      from latest as s
      left join rowbell.attempt as a using (message_id)
     group by s.ordinal, s.message_id, s.is_muted, s.is_told, s.old_row, s.new_row, s.unconfirmed_row, s.created_at
), dated as (
    select k.*, max(k.told_at) filter (where k.is_told) over (partition by k.ordinal) as last_told_at
      from known as k
)
select d.ordinal, d.is_muted, d.old_row, d.row
  from dated as d
 where not d.is_told
   and (d.last_told_at is null or d.told_at > d.last_told_at)
 order by d.ordinal, d.told_at, d.message_id;
