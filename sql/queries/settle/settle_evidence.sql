-- settle_evidence: moves messages to where evidence takes them.
--
-- The earliest times that any evidence gives stay, whatever the order of arrival.
--
-- $1 message_ids, $2 states, $3 reasons, $4 reason_texts: each message, and where it goes
-- $5 provider_message_ids: id of each message at the provider
-- $6 sent_at, $7 delivered_at, $8 read_at: when each was sent, delivered and read, by the evidence
-- $9 now: the time
-- $10 poll_at: when the provider is asked for the end of those that are sent now
-- $11 poll_channels: the channels whose provider can be asked
with d as (
    select *
      from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[])
           as d (message_id, state, reason, reason_text, provider_message_id, sent_at, delivered_at, read_at)
), was as (
    select m.message_id, m.state, m.channel
      from rowbell.message as m
      join d using (message_id)
), left_queue as (
    delete from rowbell.queue as q
     using d
     where q.message_id = d.message_id
), enrolled as (
    insert into rowbell.poll (channel, message_ids, accepted_at, due_at)
    select was.channel, array_agg(was.message_id), $9::timestamptz, $10::timestamptz
      from was
      join d using (message_id)
     where d.state = 'sent' and was.state <> 'sent' and was.channel = any ($11::text[])
     group by was.channel
)
update rowbell.message as m
   set state               = d.state::rowbell.message_state,
       reason              = d.reason::rowbell.message_reason,
       reason_text         = d.reason_text,
       waits_for           = null,
       waits_for_template  = null,
       waits_for_language  = null,
       due_at              = null,
       provider_message_id = d.provider_message_id,
       sent_at             = coalesce(m.sent_at, d.sent_at),
       delivered_at        = least(m.delivered_at, d.delivered_at),
       read_at             = least(m.read_at, d.read_at),
       finished_at         = case when d.state = 'failed' then coalesce(m.finished_at, $9) end,
       updated_at          = $9,
       updated_by          = 'settle_evidence'
  from d
 where m.message_id = d.message_id;
