-- budget_take: takes places in a budget for phones that are about to be written to, as far as there are some. Gives those
-- that have to wait, and until when: each waits for a place of its own.
--
-- $1 budget: name of the budget; locked by budget_lock
-- $2 phones: the phones, in order
-- $3 now: the time
-- $4 most: how many phones at most
-- $5 window_seconds: how long a place is taken
with asked as (
    select a.phone, min(a.place) as place
      from unnest($2::text[]) with ordinality as a (phone, place)
     group by a.phone
), known as (
    update rowbell.budget_recipient as b
       set written_at = $3
      from asked as a
     where b.budget = $1 and b.phone = a.phone
 returning b.phone
), ordered as (
    select a.phone, row_number() over (order by a.place) as place
      from asked as a
     where not exists (select from rowbell.budget_recipient as b where b.budget = $1 and b.phone = a.phone)
), room as (
    select greatest($4::bigint - count(*), 0) as places from rowbell.budget_recipient as b where b.budget = $1
), taken as (
    insert into rowbell.budget_recipient (budget, phone, written_at)
    select $1, o.phone, $3 from ordered as o, room as r where o.place <= r.places
)
select o.phone,
       coalesce((select b.written_at from rowbell.budget_recipient as b
                  where b.budget = $1
                  order by b.written_at offset o.place - r.places - 1 limit 1), $3)
       + make_interval(secs => $5) as free_at
  from ordered as o, room as r
 where o.place > r.places;
