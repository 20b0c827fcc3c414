-- alert_take: takes what the operator has still to be told. What was over before it was told is nothing to tell.
--
-- $1 now: the time
-- $2 busy_until: until then nobody else tells it
-- $3 limit: at most so many
with picked as (
    select a.alert_id
      from rowbell.alert as a
     where (a.busy_until is null or a.busy_until <= $1)
       and ((a.told_at is null and a.over_at is null) or (a.told_at is not null and a.over_at is not null and a.over_told_at is null))
     order by a.alert_id
     limit $3
       for update skip locked
)
update rowbell.alert as a
   set busy_until    = $2,
       attempt_count = a.attempt_count + 1
  from picked as p
 where a.alert_id = p.alert_id
returning a.alert_id, a.kind::text, a.what, a.began_at, a.over_at is not null as is_over, a.attempt_count;
