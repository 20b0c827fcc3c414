-- settle_move: moves a message to another state.
--
-- The times of the first evidence stay: a second receipt that says the same does not move them.
--
-- $1 message_id: the message
-- $2 state: the new state
-- $3 reason: why, as a word of rowbell.message_reason
-- $4 reason_text: why, as a sentence
-- $5 due_at: when it is due again
-- $6 provider_message_id: its id at the provider, if it was accepted
-- $7 happened_at: the time of the event
-- $8 now: the time
update rowbell.message as m
   set state               = $2::text::rowbell.message_state,
       reason              = $3::text::rowbell.message_reason,
       reason_text         = $4,
       waits_for           = case when $2 = 'scheduled' then 'retry'::rowbell.message_waits_for end,
       waits_for_template  = null,
       waits_for_language  = null,
       due_at              = $5,
       provider_message_id = coalesce($6, m.provider_message_id),
       sent_at             = case when coalesce($6, m.provider_message_id, m.confirmed_by) is not null then coalesce(m.sent_at, $7) end,
       delivered_at        = case when $2 in ('delivered', 'read') then coalesce(m.delivered_at, $7) else m.delivered_at end,
       read_at             = case when $2 = 'read' then coalesce(m.read_at, $7) else m.read_at end,
       finished_at         = case when $2 in ('failed', 'skipped') then coalesce(m.finished_at, $8) end,
       updated_at          = $8,
       updated_by          = 'settle_move'
 where m.message_id = $1;
