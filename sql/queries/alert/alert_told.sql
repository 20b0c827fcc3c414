-- alert_told: writes that the operator was told, or when it is tried again.
--
-- $1 alert_ids: which
-- $2 told_at: when; null: they were not
-- $3 busy_until: when it is tried again; null: they were told
update rowbell.alert as a
   set told_at      = case when a.over_at is null then coalesce($2, a.told_at) else a.told_at end,
       over_told_at = case when a.over_at is not null and a.told_at is not null then coalesce($2, a.over_told_at) end,
       busy_until   = $3
 where a.alert_id = any ($1);
