-- day_measure: measures anew how long each step took on a day, as rowbell_report.latency does.
--
-- $1 day: which
-- $2 time_zone: the clock of the site
with span as (
    select s.first_id, s.last_id, s.day::timestamp at time zone $2::text as since, (s.day + 1)::timestamp at time zone $2::text as before
      from rowbell.day_span as s
     where s.day = $1::text::date
), measured as (
    select m.watch, m.channel, step.name as step,
           count(*) as messages,
           round((percentile_cont(0.50) within group (order by step.seconds))::numeric, 1) as p50_seconds,
           round((percentile_cont(0.90) within group (order by step.seconds))::numeric, 1) as p90_seconds,
           round((percentile_cont(0.99) within group (order by step.seconds))::numeric, 1) as p99_seconds,
           round(max(step.seconds)::numeric, 1) as longest_seconds
      from span as s
      join rowbell.message as m on m.message_id between s.first_id and s.last_id
                               and m.first_changed_at >= s.since and m.first_changed_at < s.before
     cross join lateral (
           -- Clocks of two machines: nothing takes less than no time.
           values ('1 first change to sent', extract(epoch from m.sent_at - least(m.sent_at, m.first_changed_at))::double precision),
                  ('2 last change to sent', extract(epoch from m.sent_at - least(m.sent_at, m.last_changed_at))::double precision),
                  ('3 sent to delivered', extract(epoch from m.delivered_at - least(m.delivered_at, m.sent_at))::double precision),
                  ('4 delivered to read', extract(epoch from m.read_at - least(m.read_at, m.delivered_at))::double precision),
                  ('5 first change to delivered', extract(epoch from m.delivered_at - least(m.delivered_at, m.first_changed_at))::double precision)
     ) as step (name, seconds)
     where step.seconds is not null
     group by 1, 2, 3
), gone as (
    delete from rowbell.day_latency as l
     where l.day = $1::text::date
       and not exists (select from measured as m where (m.watch, m.channel, m.step) = (l.watch, l.channel, l.step))
)
insert into rowbell.day_latency as l (day, watch, channel, step, messages, p50_seconds, p90_seconds, p99_seconds, longest_seconds)
select $1::text::date, m.watch, m.channel, m.step, m.messages, m.p50_seconds, m.p90_seconds, m.p99_seconds, m.longest_seconds
  from measured as m
    on conflict (day, watch, channel, step) do update
       set (messages, p50_seconds, p90_seconds, p99_seconds, longest_seconds) =
           (excluded.messages, excluded.p50_seconds, excluded.p90_seconds, excluded.p99_seconds, excluded.longest_seconds);
