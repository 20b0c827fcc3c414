-- budget_seed: notes phones that a channel of a budget has written to.
--
-- $1 budget: name of the budget
-- $2 phones, $3 written_at: the phones, and when each was written to last
insert into rowbell.budget_recipient as b (budget, phone, written_at)
select $1, p.phone, max(p.written_at)
  from unnest($2::text[], $3::timestamptz[]) as p (phone, written_at)
 group by p.phone
    on conflict (budget, phone) do update set written_at = greatest(b.written_at, excluded.written_at);
