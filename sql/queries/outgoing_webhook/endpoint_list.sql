-- endpoint_list: reads how the endpoints stand.
select w.endpoint, w.outcomes <> '{}' as is_configured, w.gone_at, w.opened_at, w.next_try_at, w.failed_in_a_row,
       w.last_delivered_at, w.last_failed_at, w.last_error, d.pending, d.oldest_stored_at, d.given_up
  from rowbell.outgoing_webhook as w
 cross join lateral (
       select count(*) filter (where d.state = 'due') as pending,
              min(d.stored_at) filter (where d.state = 'due') as oldest_stored_at,
              count(*) filter (where d.state = 'given_up') as given_up
         from rowbell.outgoing_delivery as d
        where d.endpoint = w.endpoint and d.state in ('due', 'given_up')
  ) as d
 where w.outcomes <> '{}' or d.pending > 0
 order by w.endpoint;
