-- compose_write: writes what was decided about due messages, one array element each, lease and ledger with it.
--
-- $1 message_ids: the messages
-- $2 states: scheduled, held, sending, failed or skipped
-- $3 reasons, $4 reason_texts: why, as a word of rowbell.message_reason and as a sentence
-- $5 new_rows: the row as told; JSON null: told that it is gone
-- $6 templates, $7 languages: the template and its language
-- $8 recipient_names, $9 recipient_phones, $10 recipient_locales, $11 recipient_time_zones: the recipient
-- $12 summaries, $13 parameters: the words
-- $14 due_at: when it is due again
-- $15 now: the time
-- $16 instance: the daemon that leases what it sends
-- $17 lease_expires_at: when its leases end
-- $18 time_zone_sources: which setting gave the time zone
-- $19 waits_for: what it waits for
-- $20 waits_for_templates, $21 waits_for_languages: of the circuit of a template, its name and language
-- $22 is_dry_run: whether messages are recorded instead of sent
-- $23 recipient_keys: who is told; null: as it was
-- $24 operations: what they are told; null: as it was
-- $25 is_for_all: whether they are for all recipients of their entities
-- $26 recipient_countries: the country of the phone
-- $27 in_quiet_hours: whether they leave within quiet hours
-- $28 carried_by, $29 carried_numbers: the attempt whose request says the words of each besides its own
-- $30 tells: whether the recipient knows new_row from then on; a digest may only count a message
with input as (
    select *
      from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::text[], $8::text[], $9::text[],
                  $10::text[], $11::text[], $12::text[], $13::jsonb[], $14::timestamptz[], $18::text[], $19::text[],
                  $20::text[], $21::text[], $23::text[], $24::text[], $25::boolean[], $26::text[], $27::boolean[],
                  $28::bigint[], $29::smallint[], $30::boolean[])
           as i (message_id, state, reason, reason_text, new_row, template, language, recipient_name, recipient_phone,
                 recipient_locale, recipient_time_zone, summary, parameters, due_at, time_zone_source, waits_for,
                 waits_for_template, waits_for_language, recipient_key, operation, is_for_all, recipient_country, in_quiet_hours,
                 carried_by, carried_number, tells)
), ended as (
    delete from rowbell.queue as q
     using input as i
     where q.message_id = i.message_id and i.state in ('failed', 'skipped')
), queued as (
    update rowbell.queue as q
       set state            = (case i.state when 'sending' then 'leased' when 'held' then 'held' else 'open' end)::rowbell.queue_state,
           recipient_key    = case when not i.is_for_all then coalesce(i.recipient_key, q.recipient_key) end,
           due_at           = coalesce(i.due_at, q.due_at),
           late_since       = case when i.state = 'sending' then q.late_since
                                   when i.waits_for in ('circuit', 'watch') then coalesce(q.late_since, q.due_at) end,
           (leased_by, lease_expires_at) = (case when i.state = 'sending' then $16::text end,
                                            case when i.state = 'sending' then $17::timestamptz end),
           is_dry_run       = i.state = 'sending' and $22
      from input as i
     where q.message_id = i.message_id and i.state in ('scheduled', 'held', 'sending')
), written as (
    update rowbell.message as m
       set (state, reason, reason_text) = (i.state::rowbell.message_state, i.reason::rowbell.message_reason, i.reason_text),
           (waits_for, waits_for_template, waits_for_language) = (i.waits_for::rowbell.message_waits_for, i.waits_for_template, i.waits_for_language),
           (recipient_key, is_for_all) = (coalesce(i.recipient_key, m.recipient_key), i.is_for_all),
           operation           = coalesce(i.operation::rowbell.message_operation, m.operation),
           new_row             = case when i.new_row is null then m.new_row when i.new_row <> 'null' then i.new_row end,
           (template, language) = (coalesce(i.template, m.template), coalesce(i.language, m.language)),
           recipient_name      = coalesce(i.recipient_name, m.recipient_name),
           (recipient_phone, recipient_country) = (coalesce(i.recipient_phone, m.recipient_phone), coalesce(i.recipient_country, m.recipient_country)),
           (recipient_locale, in_quiet_hours) = (coalesce(i.recipient_locale, m.recipient_locale), coalesce(i.in_quiet_hours, m.in_quiet_hours)),
           (recipient_time_zone, time_zone_source) = (coalesce(i.recipient_time_zone, m.recipient_time_zone), coalesce(i.time_zone_source, m.time_zone_source)),
           (summary, parameters) = (coalesce(i.summary, m.summary), coalesce(i.parameters, m.parameters)),
           due_at              = case when i.state in ('scheduled', 'held') then coalesce(i.due_at, m.due_at) end,
           attempt_count       = m.attempt_count + case when i.state = 'sending' then 1 else 0 end,
           (finished_at, updated_at, updated_by) = (case when i.state in ('failed', 'skipped') then $15::timestamptz end, $15, 'compose_write')
      from input as i
     where m.message_id = i.message_id
 returning m.*, i.carried_by, i.carried_number, i.tells
), begun as (
    insert into rowbell.attempt (message_id, number, started_at, carried_by, carried_number)
    select message_id, attempt_count, $15, carried_by, carried_number from written where state = 'sending'
), told as (
    insert into rowbell.last_told (watch, entity_key, recipient_key, message_id, attempt, first_message_id, status, told_at, row)
    select w.watch, w.entity_key, w.recipient_key, w.message_id,
           case w.state when 'sending' then w.attempt_count else 0 end, coalesce(w.fallback_of, w.message_id),
           (case w.state when 'sending' then 'sending' else 'silenced' end)::rowbell.told_status, $15, w.new_row
      from written as w
     where w.tells and (w.state = 'sending' or w.reason = 'silenced')
        on conflict do nothing
)
select message_id, attempt_count from written;
