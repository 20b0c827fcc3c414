-- claim_any: reads whether there is a change of some watches above their bounds, or one of a large transaction that
-- it is decided about.
--
-- What an awake daemon asks every few milliseconds: one read, no transaction id, no lock.
--
-- $1 watches, $2 above: the watches, and of each only changes with ids above this
select exists (
    select
      from unnest($1::text[], $2::bigint[]) as w (watch, above)
     cross join lateral (
           select array(select l.transaction_id from rowbell.large_transaction as l where l.watch = w.watch) as transactions
     ) as apart
     cross join lateral (
           select
             from rowbell.change as c
            where c.watch = w.watch and c.change_id > w.above and c.transaction_id <> all (apart.transactions)
            limit 1
     ) as c
) or exists (
    select
      from rowbell.large_transaction as l
     where l.decision is not null and l.watch = any ($1)
) as is_there;
