-- outcome_wanted: writes which outcomes of some watches are wanted.
--
-- $1 watches: these watches
-- $2 hook_watches, $3 places, $4 states: one of each for an outcome that a hook wants
with wanted as (
    select w.watch, w.place, w.state::rowbell.outcome as state
      from unnest($2::text[], $3::smallint[], $4::text[]) as w (watch, place, state)
), gone as (
    delete from rowbell.outcome_hook as h
     where h.watch = any ($1)
       and not exists (select from wanted as w where (w.watch, w.place, w.state) = (h.watch, h.place, h.state))
)
insert into rowbell.outcome_hook (watch, place, state)
select w.watch, w.place, w.state
  from wanted as w
    on conflict do nothing;
