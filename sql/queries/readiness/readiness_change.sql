-- readiness_change: reads the first change that is not claimed yet, in the order of capture, without those that wait
-- for a person.
--
-- $1 watches: the watches of the configuration; changes of others wait for nobody
select c.change_id, c.watch, c.changed_at
  from unnest($1::text[]) as w (watch)
 cross join lateral (
       select c.change_id, c.watch, c.changed_at
         from rowbell.change_to_claim as c
        where c.watch = w.watch
        order by c.change_id
        limit 1
  ) as c
 order by c.change_id
 limit 1;
