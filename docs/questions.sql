-- The questions of docs/SQL.md, as one file: psql -f questions.sql, or pandas.read_sql for each. By a user with rowbell_support;
-- those without names, phones and words by one with rowbell_analyst, too.

-- Which customers were told nothing of a change of yesterday, and why?
select entity_key, state, reason, reason_text
  from rowbell_report.message_status
 where last_changed_at >= '2026-06-24' and last_changed_at < '2026-06-25' and sent_at is null
 order by message_id;

-- Which share of what was sent arrived, by channel?
select channel, count(*) as sent, count(delivered_at) as delivered,
       round(100.0 * count(delivered_at) / count(*)) as percent
  from rowbell_report.message_status
 where sent_at is not null
 group by channel
 order by channel;

-- What did one customer hear, on which phone?
select sent_at, channel, summary
  from rowbell_report.message_status
 where recipient_phone = '12025550144' and sent_at is not null
 order by sent_at;

-- What was delivered on one day, by watch?
select watch, sum(messages) as messages, sum(sent) as sent, sum(delivered) as delivered
  from rowbell_report.delivery_by_day
 where day = '2026-06-24'
 group by watch
 order by watch;

-- Who was never reached, and why?
select f.entity_key, f.recipient_phone, f.reason, f.error_text
  from rowbell_report.failures as f
 where not exists (
       select
         from rowbell_report.message_status as m
        where m.recipient_phone = f.recipient_phone and m.delivered_at is not null
 )
 order by f.message_id;

-- How long did it take from the change until it was sent, delivered and read, week by week? Half of the messages took at most
-- the first figure, 95 in a hundred at most the second: seconds.
select date_trunc('week', first_changed_at)::date as week,
       percentile_disc(array[0.5, 0.95]) within group (order by extract(epoch from sent_at - first_changed_at)::integer) as sent,
       percentile_disc(array[0.5, 0.95]) within group (order by extract(epoch from delivered_at - first_changed_at)::integer) as delivered,
       percentile_disc(array[0.5, 0.95]) within group (order by extract(epoch from read_at - first_changed_at)::integer) as read
  from rowbell_report.message_status
 where sent_at is not null
 group by week
 order by week;

-- Why did messages fail, week by week?
select date_trunc('week', first_changed_at)::date as week, reason, error_code, count(*) as messages
  from rowbell_report.failures
 group by 1, 2, 3
 order by 1, 4 desc;

-- Whose edits caused most messages? An application says who it is with `set local rowbell.actor`.
select actor, count(*) as messages, count(m.sent_at) as sent
  from rowbell_report.message_status as m
 cross join lateral unnest(m.changed_by) as actor
 group by actor
 order by messages desc, actor;

-- Who opted out, and after which message?
select c.phone, c.happened_at, c.reason, m.message_id, m.watch, m.summary
  from rowbell_report.consent as c
  left join lateral (
       select s.message_id, s.watch, s.summary
         from rowbell_report.message_status as s
        where s.recipient_phone = c.phone and s.sent_at < c.happened_at
        order by s.sent_at desc
        limit 1
  ) as m on true
 where c.event = 'opted_out'
 order by c.happened_at;

-- How many messages does one customer get a day?
select day, max(messages) as most, round(avg(messages), 1) as on_average, count(*) as customers
  from (
       select sent_at::date as day, recipient_key, recipient_phone, count(*) as messages
         from rowbell_report.message_status
        where sent_at is not null
        group by 1, 2, 3
  ) as of_one
 group by day
 order by day;

-- What left at night where its recipient lives, and why? In quiet hours only what is urgent does: see `unless_within` of
-- [quiet_hours](CONFIGURATION.md#quiet_hours).
select message_id, (sent_at at time zone coalesce(recipient_time_zone, 'America/New_York'))::time(0) as by_their_clock,
       case when in_quiet_hours then 'urgent' else 'no quiet hours for it' end as why, watch, summary
  from rowbell_report.message_status
 where in_quiet_hours
    or (sent_at at time zone coalesce(recipient_time_zone, 'America/New_York'))::time not between '05:00' and '21:00'
 order by message_id;

-- Which share has each channel, template and language?
select channel, template, language, count(*) as sent,
       round(100.0 * count(*) / sum(count(*)) over ()) as percent
  from rowbell_report.message_status
 where sent_at is not null
 group by channel, template, language
 order by sent desc, channel;

-- What did it cost, month by month?
select date_trunc('month', day)::date as month, channel, sum(charged) as charged, sum(cost) as cost, currency
  from rowbell_report.cost
 group by month, channel, currency
 order by month, channel;
