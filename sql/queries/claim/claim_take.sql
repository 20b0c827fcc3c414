-- claim_take: takes changes of some watches above a bound, in order of capture.
--
-- The caller holds the claim lock, so no other daemon deletes here, and rows of rowbell.change are
-- never updated: that is why a row found by its place (ctid) is still the same row. The bound keeps
-- the scan from walking index entries of rows that are gone but that an old snapshot keeps alive.
-- The deletion counts only if the whole claim commits.
--
-- layouts: the columns whose values stand in captured, by layout_id.
--
-- next_transactions: whose the changes are that come next, a few of them: a large transaction may
-- begin at the end of what is taken. See pipeline/claim/burst_hold.rs.
--
-- $1 above: only changes with ids above this
-- $2 watches: names of the watches
-- $3 limit: how many changes at most
with taken as (
    delete from rowbell.change
     where ctid = any (array(
           select c.ctid
             from rowbell.change as c
            where c.change_id > $1
              and c.watch = any ($2)
            order by c.change_id
            limit $3
     ))
 returning change_id, transaction_id, watch, entity_key, operation, layout_id, captured,
           old_row, new_row, changed_at, mute_reason, capture_error
), next as (
    select array(
           select n.transaction_id::text::bigint
             from rowbell.change as n
            where n.change_id > (select max(t.change_id) from taken as t)
            order by n.change_id
            limit 16
    ) as transactions
), layouts as (
    select jsonb_object_agg(l.layout_id, l.columns) as columns
      from rowbell.layout as l
     where l.layout_id in (select t.layout_id from taken as t)
)
select t.change_id, t.watch, t.entity_key, t.operation::text, t.layout_id, t.captured,
       t.old_row, t.new_row, t.changed_at, t.mute_reason, t.capture_error,
       t.transaction_id::text::bigint as transaction_id,
       pg_current_xact_id()::text::bigint as claimed_by,
       -- Once is enough.
       case when t.change_id = (select max(change_id) from taken) then layouts.columns end as layouts,
       case when t.change_id = (select max(change_id) from taken) then next.transactions end as next_transactions
  from taken as t
 cross join next
 cross join layouts
 order by t.change_id;
