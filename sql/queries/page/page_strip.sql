-- page_strip: counts, minute by minute of the last hour, what was changed, sent, delivered, and what failed.
--
-- Of messages that were opened within the last three hours: the history below them is not read.
--
-- $1 now: the end of the last minute
with happened as (
    select what.kind, what.at, what.times
      from rowbell.message as m
     cross join lateral (
           values ('changes', m.first_changed_at, m.change_count::bigint),
                  ('sent', m.sent_at, 1::bigint),
                  ('delivered', m.delivered_at, 1::bigint),
                  ('failed', case m.state when 'failed' then m.finished_at end, 1::bigint)
     ) as what (kind, at, times)
     where m.message_id >= (select rowbell.first_message_since($1::timestamptz - interval '3 hours'))
       and what.at > $1::timestamptz - interval '1 hour' and what.at <= $1::timestamptz
)
select floor(extract(epoch from $1::timestamptz - h.at) / 60)::integer as minutes_ago,
       coalesce(sum(h.times) filter (where h.kind = 'changes'), 0)::bigint as changes,
       coalesce(sum(h.times) filter (where h.kind = 'sent'), 0)::bigint as sent,
       coalesce(sum(h.times) filter (where h.kind = 'delivered'), 0)::bigint as delivered,
       coalesce(sum(h.times) filter (where h.kind = 'failed'), 0)::bigint as failed
  from happened as h
 group by 1
 order by 1 desc;
