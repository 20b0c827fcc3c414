-- retention_receipt_limit: finds the first id of the receipts that came since a moment; all below are older.
--
-- $1 since: the moment
with recursive search (low, high) as (
    select coalesce(min(r.receipt_id), 0), coalesce(max(r.receipt_id), 0) + 1
      from rowbell.receipt as r
    union all
    select case when probe.received_at >= $1 then s.low else probe.receipt_id + 1 end,
           case when probe.received_at >= $1 then (s.low + s.high) / 2 else s.high end
      from search as s
     cross join lateral (
           select r.receipt_id, r.received_at
             from rowbell.receipt as r
            where r.receipt_id >= (s.low + s.high) / 2
            order by r.receipt_id
            limit 1
     ) as probe
     where s.low < s.high
)
select min(high) as first_id from search;
