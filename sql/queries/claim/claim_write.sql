-- claim_write: opens new messages, in whatever state the claim decided for them. One array element is one message.
--
-- Messages that leave at once get their lease, attempt row and entry in the ledger in the same statement: no crash
-- can leave one without the others.
--
-- $1 watches, $2 entity_keys: the entities
-- $3 states: the states in which the messages are opened
-- $4 reasons, $5 reason_texts: why, as a word of rowbell.message_reason and as a sentence
-- $6 operations, $7 change_counts: the net change, and how many changes it consists of
-- $8 first_changed_at, $9 last_changed_at: when the first and the last change were made
-- $10 old_rows, $11 new_rows: the rows before and after
-- $12 channels: the channels that they go by
-- $13 templates, $14 languages: the template and its language
-- $15 recipient_names, $16 recipient_phones, $17 recipient_locales, $18 recipient_time_zones: the recipient
-- $19 summaries, $20 parameters: the words
-- $21 due_at: when they are due
-- $22 now: the time
-- $23 instance: the daemon that leases what it sends
-- $24 lease_expires_at: when its leases end
-- $25 time_zone_sources: which setting gave the time zone
-- $26 waits_for: what they wait for
-- $27 waits_for_templates, $28 waits_for_languages: of the circuit of a template, its name and language
-- $29 recipient_keys: who is told; null: not known yet
-- $30 changed_by: who made the changes, each a list with unit separators (U+001F) between the names
-- $31 is_for_all: whether they are for all recipients of their entities
-- $32 was_set_aside: whether they tell of a large transaction that leaves in its own turn
-- $33 recipient_countries: the country of the phone
-- $34 in_quiet_hours: whether they leave within quiet hours
with input as (
    select *
      from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::timestamptz[],
                  $9::timestamptz[], $10::jsonb[], $11::jsonb[], $12::text[], $13::text[], $14::text[], $15::text[],
                  $16::text[], $17::text[], $18::text[], $19::text[], $20::jsonb[], $21::timestamptz[], $25::text[],
                  $26::text[], $27::text[], $28::text[], $29::text[], $30::text[], $31::boolean[], $32::boolean[], $33::text[], $34::boolean[]) with ordinality
           as i (watch, entity_key, state, reason, reason_text, operation, change_count, first_changed_at, last_changed_at,
                 old_row, new_row, channel, template, language, recipient_name, recipient_phone, recipient_locale,
                 recipient_time_zone, summary, parameters, due_at, time_zone_source, waits_for, waits_for_template,
                 waits_for_language, recipient_key, changed_by, is_for_all, was_set_aside, recipient_country, in_quiet_hours, ordinal)
), opened as (
    insert into rowbell.message (
           watch, entity_key, recipient_key, is_for_all, was_set_aside, changed_by, state, reason, reason_text,
           waits_for, waits_for_template, waits_for_language, operation, change_count, first_changed_at, last_changed_at,
           old_row, new_row, channel, template, language, recipient_name, recipient_phone, recipient_locale,
           recipient_country, in_quiet_hours, recipient_time_zone, time_zone_source, summary, parameters, due_at,
           attempt_count, finished_at, created_at, updated_at, updated_by
    )
    select i.watch, i.entity_key, i.recipient_key, i.is_for_all, i.was_set_aside, string_to_array(i.changed_by, U&'\001F'),
           i.state::rowbell.message_state, i.reason::rowbell.message_reason, i.reason_text,
           i.waits_for::rowbell.message_waits_for, i.waits_for_template, i.waits_for_language,
           i.operation::rowbell.message_operation, i.change_count, i.first_changed_at, i.last_changed_at,
           i.old_row, i.new_row, i.channel, i.template, i.language, i.recipient_name, i.recipient_phone, i.recipient_locale,
           i.recipient_country, coalesce(i.in_quiet_hours, false), i.recipient_time_zone, i.time_zone_source, i.summary, i.parameters,
           case when i.state in ('waiting', 'scheduled', 'held') then i.due_at end,
           case when i.state = 'sending' then 1 else 0 end,
           case when i.state in ('failed', 'skipped') then $22::timestamptz end, $22, $22, 'claim_write'
      from input as i
     order by i.ordinal
 returning message_id, watch, entity_key, recipient_key, is_for_all, channel, state, reason, due_at, new_row
), queued as (
    insert into rowbell.queue (message_id, channel, watch, entity_key, recipient_key, state, due_at, leased_by, lease_expires_at)
    select o.message_id, o.channel, o.watch, o.entity_key, case when not o.is_for_all then o.recipient_key end,
           case o.state when 'sending' then 'leased'::rowbell.queue_state
                        when 'held' then 'held'::rowbell.queue_state
                        else 'open'::rowbell.queue_state end,
           coalesce(o.due_at, $22),
           case when o.state = 'sending' then $23::text end,
           case when o.state = 'sending' then $24::timestamptz end
      from opened as o
     where o.state in ('waiting', 'scheduled', 'held', 'sending')
), begun as (
    insert into rowbell.attempt (message_id, number, started_at)
    select o.message_id, 1, $22
      from opened as o
     where o.state = 'sending'
), told as (
    insert into rowbell.last_told (watch, entity_key, recipient_key, message_id, attempt, first_message_id, status, told_at, row)
    select o.watch, o.entity_key, o.recipient_key, o.message_id,
           case o.state when 'sending' then 1 else 0 end, o.message_id,
           (case o.state when 'sending' then 'sending' else 'silenced' end)::rowbell.told_status, $22, o.new_row
      from opened as o
     where o.state = 'sending' or o.reason = 'silenced'
)
select message_id from opened order by message_id;
