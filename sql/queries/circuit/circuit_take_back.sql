-- circuit_take_back: schedules messages again that were refused in a burst of errors which opened a circuit: the
-- fault is not theirs.
--
-- Left as they are: those for which a later message of their entity speaks to their recipient.
--
-- $1 message_ids: the messages
-- $2 due_at: when they are due again
-- $3 reason_text: why, as a sentence
-- $4 now: the time
-- $5 template, $6 language: the circuit of a template; both are empty for that of the channel
with chosen as (
    select m.message_id, m.channel, m.watch, m.entity_key,
           case when not m.is_for_all then m.recipient_key end as recipient_key
      from rowbell.message as m
     where m.message_id = any ($1)
       and m.state = 'failed'
       and m.reason in ('undeliverable', 'rejected')
       and not exists (
           select
             from rowbell.message as later
            where later.watch = m.watch and later.entity_key = m.entity_key
              and (later.recipient_key is null or m.recipient_key is null or later.recipient_key = m.recipient_key)
              and later.message_id > m.message_id
              and later.state not in ('failed', 'skipped')
       )
       for update of m
), queued as (
    insert into rowbell.queue (message_id, channel, watch, entity_key, recipient_key, state, due_at)
    select c.message_id, c.channel, c.watch, c.entity_key, c.recipient_key, 'open', $2
      from chosen as c
        on conflict do nothing
 returning message_id
)
update rowbell.message as m
   set state              = 'scheduled',
       reason             = null,
       reason_text        = $3,
       waits_for          = 'burst_retry',
       waits_for_template = nullif($5, ''),
       waits_for_language = nullif($6, ''),
       due_at             = $2,
       finished_at        = null,
       updated_at         = $4,
       updated_by         = 'circuit_take_back'
  from queued as q
 where m.message_id = q.message_id
returning m.message_id;
