-- delivery_take: takes deliveries that are due, with what the endpoint may be told. Of one message the earlier outcome comes
-- first, and the next only when that has ended. Where only one is tried, it is one that was not tried before, if there is one:
-- a delivery that fails by itself must not keep an endpoint at rest.
--
-- $1 endpoint: where they go
-- $2 now: the time
-- $3 lease_until: until then nobody else tries them
-- $4 limit: how many
-- $5 is_probe: whether only one is tried
with picked as (
    select d.delivery_id
      from rowbell.outgoing_delivery as d
     where d.endpoint = $1 and d.state = 'due' and d.due_at <= $2
       and not exists (
           select
             from rowbell.outgoing_delivery as earlier
            where earlier.message_id = d.message_id and earlier.endpoint = d.endpoint
              and earlier.delivery_id < d.delivery_id and earlier.state = 'due'
       )
     order by case when $5 then d.attempt_count end, d.due_at, d.delivery_id
     limit $4
       for update of d skip locked
), taken as (
    update rowbell.outgoing_delivery as d
       set due_at        = $3,
           attempt_count = d.attempt_count + 1
      from picked as p
     where d.delivery_id = p.delivery_id
 returning d.delivery_id, d.webhook_id, d.message_id, d.watch, d.outcome, d.stored_at, d.tried_since, d.attempt_count, d.reply_id
)
select t.delivery_id, replace(t.webhook_id::text, '-', '') as webhook_id, t.message_id, t.watch, t.outcome::text as outcome,
       t.stored_at, t.tried_since, t.attempt_count, m.entity_key, m.reason::text as reason, m.channel, m.operation::text as operation,
       m.fallback_of, m.sent_at, m.delivered_at, m.read_at, m.finished_at, m.provider_message_id, m.recipient_key,
       m.recipient_name, m.recipient_phone, m.summary,
       r.kind::text as reply_kind, coalesce(r.written_at, r.received_at) as replied_at, r.body as reply, r.payload as reply_payload
  from taken as t
  left join rowbell.message as m using (message_id)
  left join rowbell.reply as r on r.reply_id = t.reply_id
 order by t.delivery_id;
