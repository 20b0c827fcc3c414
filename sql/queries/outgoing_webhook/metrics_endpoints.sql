-- metrics_endpoints: reads the figures of /metrics about endpoints of the application, one a row; see metrics_read.
--
-- $1 now: the time
select n.metric, w.endpoint as channel, null::text as word, n.value::float8 as value
  from rowbell.outgoing_webhook as w
 cross join lateral (
       select count(*) as pending, min(d.stored_at) as stored_at
         from rowbell.outgoing_delivery as d
        where d.endpoint = w.endpoint and d.state = 'due'
  ) as d
 cross join lateral (
       values ('rowbell_outgoing_webhook_pending', d.pending),
              ('rowbell_outgoing_webhook_oldest_age_seconds', coalesce(extract(epoch from $1 - d.stored_at), 0)),
              ('rowbell_outgoing_webhook_stopped', (w.opened_at is not null or w.gone_at is not null)::int)
  ) as n (metric, value)
 where w.outcomes <> '{}'
 order by n.metric, w.endpoint;
