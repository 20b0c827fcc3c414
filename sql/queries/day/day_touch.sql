-- day_touch: finds the days of which something may have changed. The first one that lost messages to retention stays as it
-- is, and so do those before it.
--
-- Whatever moves a message is a new one, stands in the queue, begins an attempt, or comes as a receipt; the rest are days
-- of which some messages had come to no end.
--
-- $1 time_zone: the clock of the site
-- $2 whole_since: messages opened since are all there; null: all are
-- $3 since: when it was looked last, and a while before, for what was being written then; null: never
-- $4 first_message, $5 first_receipt: the first ids since then
with touched as (
    select m.message_id, m.first_changed_at
      from rowbell.message as m
     where m.message_id >= $4
    union all
    select m.message_id, m.first_changed_at
      from rowbell.queue as q
      join rowbell.message as m using (message_id)
    union all
    select m.message_id, m.first_changed_at
      from rowbell.attempt as a
      join rowbell.message as m using (message_id)
     where a.started_at >= $3::timestamptz
    union all
    select m.message_id, m.first_changed_at
      from rowbell.receipt as r
      join rowbell.attempt as a using (provider_message_id)
      join rowbell.message as m using (message_id)
     where r.receipt_id >= $5
), days as (
    select (t.first_changed_at at time zone $1::text)::date as day, min(t.message_id) as first_id, max(t.message_id) as last_id
      from touched as t
     group by 1
    union all
    select s.day, s.first_id, s.last_id
      from rowbell.day_span as s
     where s.is_open
)
insert into rowbell.day_span as s (day, first_id, last_id, is_due)
select d.day, min(d.first_id), max(d.last_id), true
  from days as d
 group by d.day
 order by d.day
    on conflict (day) do update
       set (first_id, last_id) = (least(s.first_id, excluded.first_id), greatest(s.last_id, excluded.last_id)),
           is_due = s.is_due or s.day > coalesce(($2::timestamptz at time zone $1::text)::date, '-infinity');
