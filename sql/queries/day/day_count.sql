-- day_count: counts the messages of a day anew.
--
-- $1 day: which
-- $2 time_zone: the clock of the site
-- $3 now: the time
with span as (
    select s.first_id, s.last_id, s.day::timestamp at time zone $2::text as since, (s.day + 1)::timestamp at time zone $2::text as before
      from rowbell.day_span as s
     where s.day = $1::text::date
), stood_in as (
    -- What stands in for another message has its first change, too, and a higher id.
    select m.fallback_of as message_id, max(m.sent_at) as sent_at, max(m.delivered_at) as delivered_at, max(m.read_at) as read_at
      from span as s
      join rowbell.message as m on m.message_id between s.first_id and s.last_id and m.fallback_of is not null
     group by m.fallback_of
), gone as (
    delete from rowbell.day as d where d.day = $1::text::date
), counted as (
    insert into rowbell.day (
           day, watch, channel, template, language, recipient_country, price_category, pricing_model, state, reason,
           messages, fallbacks, changes, sent, delivered, read, charged, to_tell, net_sent, net_delivered, net_read, time_to_sent,
           time_to_delivered
    )
    select $1::text::date, m.watch, m.channel, m.template, m.language, m.recipient_country, p.category, p.model, m.state, m.reason,
           count(*),
           count(m.fallback_of),
           coalesce(sum(m.change_count) filter (where m.fallback_of is null), 0),
           count(m.sent_at),
           count(m.delivered_at),
           count(m.read_at),
           -- WhatsApp says a category, and charges for what arrives. Elsewhere what is accepted is paid for, unless it failed.
           count(*) filter (where case when p.category is null then m.sent_at is not null and m.state <> 'failed'
                                       else m.delivered_at is not null and p.is_billable is distinct from false end),
           count(*) filter (where m.fallback_of is null and (m.state <> 'skipped' or f.message_id is not null)),
           count(coalesce(m.sent_at, f.sent_at)) filter (where m.fallback_of is null),
           count(coalesce(m.delivered_at, f.delivered_at)) filter (where m.fallback_of is null),
           count(coalesce(m.read_at, f.read_at)) filter (where m.fallback_of is null),
           sum(m.sent_at - least(m.sent_at, m.first_changed_at)),
           sum(m.delivered_at - least(m.delivered_at, m.first_changed_at))
      from span as s
      join rowbell.message as m on m.message_id between s.first_id and s.last_id
                               and m.first_changed_at >= s.since and m.first_changed_at < s.before
      left join stood_in as f on f.message_id = m.message_id
      left join lateral (
           -- The latest that was said counts.
           select (array_agg(r.price_category order by r.receipt_id desc) filter (where r.price_category is not null))[1] as category,
                  (array_agg(r.pricing_model order by r.receipt_id desc) filter (where r.pricing_model is not null))[1] as model,
                  (array_agg(r.is_billable order by r.receipt_id desc) filter (where r.is_billable is not null))[1] as is_billable
             from rowbell.receipt as r
            where r.provider_message_id = m.provider_message_id and r.channel = m.channel
      ) as p on true
     group by m.watch, m.channel, m.template, m.language, m.recipient_country, p.category, p.model, m.state, m.reason
 returning state
)
update rowbell.day_span as s
   set is_due     = false,
       is_open    = exists (select from counted as c where c.state in ('waiting', 'scheduled', 'held', 'sending', 'unconfirmed')),
       counted_at = $3
 where s.day = $1::text::date;
