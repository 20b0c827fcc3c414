-- readiness_change: reads the first change that is not claimed yet, in the order of capture, without those that wait
-- for a person.
--
-- $1 watches: the watches of the configuration; changes of others wait for nobody
select c.change_id, c.watch, c.changed_at
  from unnest($1::text[]) as w (watch)
 cross join lateral (
       select c.change_id, c.watch, c.changed_at
         from rowbell.change as c
        where c.watch = w.watch
          and not exists (
              select
                from rowbell.large_transaction as l
               where l.watch = c.watch and l.transaction_id = c.transaction_id and l.decision is null
          )
        order by c.change_id
        limit 1
  ) as c
 order by c.change_id
 limit 1;
