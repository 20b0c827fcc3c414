-- claim_take: takes changes of some watches above a bound, in order of capture.
--
-- The caller holds the claim lock, so no other daemon deletes here, and rows of rowbell.change are
-- never updated: that is why a row found by its place (ctid) is still the same row. The bound keeps
-- the scan from walking index entries of rows that are gone but that an old snapshot keeps alive.
--
-- What one transaction does to one row may be captured in another order, and a row that moves to another partition is
-- a delete and an insert: where the limit would part such changes, those that follow soon are taken along.
--
-- layouts: table and columns of what stands in captured, by layout_id. next_transactions: whose changes come next, a
-- few of them: a large transaction may begin at the end of what is taken. See pipeline/claim/burst_hold.rs.
--
-- $1 above: only changes with ids above this
-- $2 watches: names of the watches
-- $3 limit: how many changes at most
-- $4 claim_lock: key of the advisory lock; without it nothing is taken, rather than to wait for the rows of its holder
with picked as (
    select c.ctid as place, c.change_id, c.transaction_id, c.watch, c.entity_key, c.operation
      from rowbell.change as c
     where (select pg_try_advisory_xact_lock($4)) and c.change_id > $1 and c.watch = any ($2)
     order by c.change_id limit $3
), last as (
    select max(p.change_id) as change_id, count(*) as changes from picked as p
), along as (
    select n.place
      from (select c.ctid as place, c.transaction_id, c.watch, c.entity_key, c.operation
              from rowbell.change as c, last as l
             where c.change_id > l.change_id and l.changes = $3 and c.watch = any ($2)
             order by c.change_id limit 32) as n
     where exists (select from picked as p
                    where p.transaction_id = n.transaction_id and p.watch = n.watch
                      and (p.entity_key = n.entity_key or (p.operation = 'delete' and n.operation = 'insert')))
), taken as (
    delete from rowbell.change
     where ctid = any (array(select p.place from picked as p union all select a.place from along as a))
 returning change_id, transaction_id, watch, entity_key, operation, layout_id, captured,
           old_row, new_row, changed_at, changed_by, mute_reason || ', by ' || changed_by as mute_reason, capture_error
), next as (
    select array(select n.transaction_id::text::bigint
                   from rowbell.change as n
                  where n.change_id > (select l.change_id from last as l)
                  order by n.change_id limit 16) as transactions
), layouts as (
    select jsonb_object_agg(l.layout_id, jsonb_build_object(
               'columns', l.columns, 'table_oid', c.oid::bigint, 'table', format('%I.%I', s.nspname, c.relname))) as known
      from rowbell.layout as l
      left join (pg_class as c join pg_namespace as s on s.oid = c.relnamespace) on c.oid = l.captured_from
     where l.layout_id in (select t.layout_id from taken as t)
)
select t.change_id, t.watch, t.entity_key, t.operation::text, t.layout_id, t.captured,
       t.old_row, t.new_row, t.changed_at, t.changed_by, t.mute_reason, t.capture_error,
       t.transaction_id::text::bigint as transaction_id, pg_current_xact_id()::text::bigint as claimed_by,
       last.change_id as last_change_id, once.layouts, once.next_transactions
  from taken as t
 cross join last
  left join (select (select max(change_id) from taken) as change_id, layouts.known as layouts,
                    next.transactions as next_transactions
               from next, layouts) as once on once.change_id = t.change_id
 order by t.change_id;
