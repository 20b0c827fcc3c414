-- gap_note: notes that watches capture nothing now, or do so again. A watch that was never installed has no gap.
--
-- $1 silent, $2 capturing: names of watches whose triggers are missing or disabled, and of those whose are there
-- $3 now: the time
with ended as (
    update rowbell.gap as g
       set ended_at = $3
     where g.watch = any ($2) and g.cause = 'no_trigger' and g.ended_at is null
)
insert into rowbell.gap (watch, cause, began_at)
select w.watch, 'no_trigger', $3
  from unnest($1::text[]) as w (watch)
 where exists (select from rowbell.layout as l where l.watch = w.watch)
   and not exists (select from rowbell.gap as g where g.watch = w.watch and g.cause = 'no_trigger' and g.ended_at is null)
returning watch;
