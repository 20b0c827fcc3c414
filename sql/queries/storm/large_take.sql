-- large_take: takes what large transactions changed of some entities before something that is claimed now, in order of
-- capture. Walks through the large transactions of their watches up to the last of those: not beyond, so that a large
-- transaction that leaves part by part is not walked through again with each part.
--
-- $1 watches, $2 entity_keys, $3 before: each entity, and the change before which its changes are taken
with wanted as (
    select w.watch, w.entity_key, max(w.before) as before
      from unnest($1::text[], $2::text[], $3::bigint[]) as w (watch, entity_key, before)
     group by w.watch, w.entity_key
), last_wanted as (
    select w.watch, max(w.before) as before from wanted as w group by w.watch
), found as (
    select c.ctid as place, c.entity_key, l.large_transaction_id, l.hold_id, l.watch, l.decision
      from rowbell.large_transaction as l
      join last_wanted as last on last.watch = l.watch
     -- By the key, whatever the planner thinks of how much lies there.
     cross join lateral (
           select c.ctid, c.* from rowbell.change as c
            where c.watch = l.watch and c.change_id between l.first_change_id and least(l.last_change_id, last.before - 1)
              and c.transaction_id = l.transaction_id
           offset 0
     ) as c
      join wanted as w on w.watch = c.watch and w.entity_key = c.entity_key and c.change_id < w.before
), fewer as (
    -- Entities that have a message of the hold already were not counted among the others.
    select f.large_transaction_id, f.hold_id, count(distinct f.entity_key) as entities
      from found as f
     where f.decision is null
       and not exists (
           select from rowbell.queue as q
            where q.watch = f.watch and q.entity_key = f.entity_key and q.state = 'held' and q.hold_id = f.hold_id
       )
     group by f.large_transaction_id, f.hold_id
), counted as (
    update rowbell.large_transaction as l
       set entity_count = greatest(l.entity_count - f.entities, 0)
      from fewer as f
     where l.large_transaction_id = f.large_transaction_id
), joined as (
    -- They join as messages.
    update rowbell.hold as h
       set message_count = greatest(h.message_count - f.entities, 0)
      from (select hold_id, sum(entities) as entities from fewer group by hold_id) as f
     where h.hold_id = f.hold_id
), taken as (
    delete from rowbell.change
     where ctid = any (array(select f.place from found as f))
 returning change.*
), once as materialized (
    select (select max(change_id) from taken) as change_id,
           rowbell.layouts_of(array(select distinct layout_id from taken)) as layouts
)
select t.change_id, t.watch, t.entity_key, t.operation::text, t.layout_id, t.captured, t.old_row, t.new_row, t.changed_at,
       t.changed_by, t.mute_reason || ', by ' || t.changed_by as mute_reason, t.capture_error,
       t.transaction_id::text::bigint as transaction_id, true as is_large, l.hold_id, l.decision::text, l.decision_text,
       once.layouts
  from taken as t
  join rowbell.large_transaction as l
    on l.watch = t.watch and l.transaction_id = t.transaction_id and t.change_id between l.first_change_id and l.last_change_id
  left join once on once.change_id = t.change_id
 order by t.change_id;
