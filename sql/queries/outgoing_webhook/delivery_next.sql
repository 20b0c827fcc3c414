-- delivery_next: reads when the next delivery to an endpoint may be tried; null: there is none. Asked while there is nothing
-- to do, so it locks nothing.
--
-- $1 endpoint: which
select case when w.gone_at is not null then null else greatest(min(d.due_at), w.next_try_at) end as next_at
  from rowbell.outgoing_webhook as w
 cross join lateral (
       select d.due_at
         from rowbell.outgoing_delivery as d
        where d.endpoint = w.endpoint and d.state = 'due'
          and not exists (
              select
                from rowbell.outgoing_delivery as earlier
               where earlier.message_id = d.message_id and earlier.endpoint = d.endpoint
                 and earlier.delivery_id < d.delivery_id and earlier.state = 'due'
          )
        order by d.due_at, d.delivery_id
        limit 1
  ) as d
 where w.endpoint = $1
 group by w.endpoint;
