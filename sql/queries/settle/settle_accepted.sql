-- settle_accepted: writes that the provider accepted messages.
--
-- Returns the messages that it moved. One that is missing was moved by somebody else in the
-- meantime and is settled one by one. has_receipt: evidence outran the answer; join it now.
--
-- $1 message_ids, $2 numbers, $3 provider_message_ids, $4 http_statuses: each attempt and its answer
-- $5 now: the time
-- $6 undelivered_at: when each message goes on to the next channel unless it is delivered
-- $7 poll_at: when the provider is asked for the end of the messages
-- $8 poll_channels: the channels whose provider can be asked
-- $9 silent_channels: the channels of which nothing is heard after they accepted a message
-- $10 are_carried: of each, whether another one's request said it; the provider is asked for the end of that one
with done as (
    select *
      from unnest($1::bigint[], $2::smallint[], $3::text[], $4::smallint[], $6::timestamptz[],
                  $10::boolean[])
           as d (message_id, number, provider_message_id, http_status, undelivered_at, is_carried)
), tried as (
    update rowbell.attempt as a
       set result              = 'accepted',
           finished_at         = $5,
           http_status         = d.http_status,
           provider_message_id = d.provider_message_id
      from done as d
     where a.message_id = d.message_id and a.number = d.number
), left_queue as (
    delete from rowbell.queue as q
     using done as d
     where q.message_id = d.message_id
), moved as (
    update rowbell.message as m
       set state               = 'sent',
           reason_text         = null,
           provider_message_id = d.provider_message_id,
           sent_at             = $5,
           updated_at          = $5,
           updated_by          = 'settle_accepted'
      from done as d
     where m.message_id = d.message_id
       and m.state in ('sending', 'unconfirmed')
       and m.attempt_count = d.number
 returning m.message_id, m.watch, m.entity_key, m.recipient_key, m.channel, d.number, d.provider_message_id, d.undelivered_at, d.is_carried
), told as (
    update rowbell.last_told as t
       set status = (case when m.channel = any ($9::text[]) then 'arrived' else 'accepted' end)::rowbell.told_status
      from moved as m
     where t.watch = m.watch and t.entity_key = m.entity_key and t.recipient_key = m.recipient_key
       and t.message_id = m.message_id and t.attempt = m.number
), awaited as (
    insert into rowbell.fallback (message_id, cause, due_at)
    select m.message_id, 'undelivered', m.undelivered_at
      from moved as m
     where m.undelivered_at is not null
        on conflict (message_id) do nothing
), enrolled as (
    -- One row for the whole batch: see rowbell.poll.
    insert into rowbell.poll (channel, message_ids, accepted_at, due_at)
    select m.channel, array_agg(m.message_id), $5::timestamptz, $7::timestamptz
      from moved as m
     where m.channel = any ($8::text[]) and not m.is_carried
     group by m.channel
)
select m.message_id,
       exists (select from rowbell.receipt as r where r.provider_message_id = m.provider_message_id) as has_receipt
  from moved as m;
