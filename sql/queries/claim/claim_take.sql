-- claim_take: takes changes of some watches in turn, those of one watch in order of capture.
--
-- What large transactions changed is left alone until it is decided; then each has its own turn beside the rest of its
-- watch. The caller holds the claim lock, and rows of rowbell.change are never updated: a row found by its place (ctid)
-- is still the same row. The bounds keep the scan from walking entries of rows that an old snapshot keeps alive.
-- What one transaction does to one row may be captured in another order, and a row that moves to another partition is
-- a delete and an insert: where the limit would part such changes, those that follow soon are taken along.
-- reached, parts: the last change of each watch, and of each large transaction. exhausted: watches of which only what
-- was set aside is left. next_transactions: whose changes follow.
--
-- $1 watches, $2 above: the watches, and of each only changes with ids above this
-- $3 limit: how many changes at most
-- $4 claim_lock: key of the advisory lock; without it nothing is taken, rather than to wait for the rows of its holder
with turn as materialized (
    select row_number() over () as lane, t.*
      from (select w.watch, w.above, 9223372036854775807 as upto, null::xid8 as transaction_id, null::bigint as large_id,
                   array(select l.transaction_id from rowbell.large_transaction as l where l.watch = w.watch) as apart
              from unnest($1::text[], $2::bigint[]) as w (watch, above)
             union all
            select l.watch, l.first_change_id - 1, l.last_change_id, l.transaction_id, l.large_transaction_id, null
              from rowbell.large_transaction as l where l.decision is not null and l.watch = any ($1)) as t
     where (select pg_try_advisory_xact_lock($4))
), found as (
    select n.place, n.change_id, n.transaction_id, n.watch, n.entity_key, n.operation, n.place_in_turn, t.lane
      from turn as t, lateral (
           select c.ctid as place, c.*, row_number() over (order by c.change_id) as place_in_turn from rowbell.change as c
            where c.watch = t.watch and c.change_id > t.above and c.change_id <= t.upto
              and (c.transaction_id = t.transaction_id or c.transaction_id <> all (t.apart))
            order by c.change_id limit $3) as n
), picked as (
    select * from found order by place_in_turn, change_id limit $3), reached as (
    select t.*, p.change_id, p.is_full from turn as t join (
           select lane, max(change_id) as change_id, sum(count(*)) over () = $3 as is_full from picked group by lane) as p using (lane)
), following as (
    select n.* from reached as r, lateral (
           select c.ctid as place, c.* from rowbell.change as c
            where r.is_full and c.watch = r.watch and c.change_id > r.change_id
              and (c.transaction_id = r.transaction_id or c.transaction_id <> all (r.apart))
            order by c.change_id limit 32) as n
), taken as (
    delete from rowbell.change
     where ctid = any (array(select place from picked union all select place from following
             where (transaction_id, watch, entity_key) in (select transaction_id, watch, entity_key from picked)
                or operation = 'insert' and (transaction_id, watch) in (select transaction_id, watch from picked where operation = 'delete')))
 returning change.*
), once as materialized (
    select (select max(change_id) from taken) as last_change_id,
           rowbell.layouts_of(array(select distinct layout_id from taken)) as layouts,
           (select jsonb_object_agg(watch, change_id) from reached where large_id is null) as reached,
           (select jsonb_object_agg(large_id, change_id) from reached where large_id is not null) as parts,
           array(select t.watch from turn as t where t.large_id is null and (select count(*) from found where lane = t.lane)
                        in (select count(*) from picked where lane = t.lane having count(*) < $3)) as exhausted,
           array(select transaction_id::text::bigint from following) as next_transactions
)
select t.change_id, t.watch, t.entity_key, t.operation::text, t.layout_id, t.captured, t.old_row, t.new_row, t.changed_at,
       t.changed_by, t.mute_reason || ', by ' || t.changed_by as mute_reason, t.capture_error,
       t.transaction_id::text::bigint as transaction_id, pg_current_xact_id()::text::bigint as claimed_by,
       l.large_transaction_id is not null as is_large, l.hold_id, l.decision::text, l.decision_text, once.*
  from taken as t
  left join rowbell.large_transaction as l
    on (l.watch, l.transaction_id) = (t.watch, t.transaction_id) and t.change_id between l.first_change_id and l.last_change_id
  left join once on once.last_change_id = t.change_id
 order by t.change_id;
