-- alert_note: writes down what needs a person now, and what does not any more. What is away for a while only goes on.
--
-- $1 kinds, $2 subjects, $3 whats: what needs a person
-- $4 now: the time
-- $5 settled: what has been away since before then is over
with present as (
    select p.kind::rowbell.alert_kind as kind, p.subject, p.what
      from unnest($1::text[], $2::text[], $3::text[]) as p (kind, subject, what)
), kept as (
    update rowbell.alert as a
       set absent_since = null
      from present as p
     where a.over_at is null and a.absent_since is not null and (a.kind, a.subject) = (p.kind, p.subject)
), gone as (
    update rowbell.alert as a
       set absent_since = coalesce(a.absent_since, $4::timestamptz),
           -- Who is telling it at this moment tells its end, too.
           over_at      = case when a.absent_since <= $5 or (a.told_at is null and coalesce(a.busy_until <= $4, true))
                               then $4::timestamptz end
     where a.over_at is null
       and not exists (select from present as p where (p.kind, p.subject) = (a.kind, a.subject))
), old as (
    delete from rowbell.alert as a where a.over_at < $4::timestamptz - interval '90 days'
)
insert into rowbell.alert (kind, subject, what, began_at)
select p.kind, p.subject, p.what, $4
  from present as p
    on conflict (kind, subject) where over_at is null do nothing;
