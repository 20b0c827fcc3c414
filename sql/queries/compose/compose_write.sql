-- compose_write: what was decided about due messages, one array element each. Writes lease, state and attempt at once.
--
-- $1 message, $2 new state (scheduled, held, sending, failed, skipped), $3 reason, $4 reason in words, $5 the row as
-- told (JSON null: told that it is gone), $6 template, $7 language, $8 to $11 recipient, $12 summary, $13 parameters,
-- $14 when it is due again; $15 the time, $16 the daemon instance, $17 when its leases end, $18 who said the time zone;
-- $19 what it waits for, $20 and $21 template and language of that; $22 whether it is recorded instead of sent.
with input as (
    select *
      from unnest(
           $1::bigint[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::text[], $7::text[],
           $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::jsonb[], $14::timestamptz[],
           $18::text[], $19::text[], $20::text[], $21::text[]
      ) as i (
           message_id, state, reason, reason_text, new_row, template, language, recipient_name, recipient_phone,
           recipient_locale, recipient_time_zone, summary, parameters, due_at,
           time_zone_source, waits_for, waits_for_template, waits_for_language
      )
), ended as (
    delete from rowbell.queue as q
     using input as i
     where q.message_id = i.message_id and i.state in ('failed', 'skipped')
), queued as (
    update rowbell.queue as q
       set state            = (case i.state when 'sending' then 'leased' when 'held' then 'held' else 'open' end)::rowbell.queue_state,
           due_at           = coalesce(i.due_at, q.due_at),
           leased_by        = case when i.state = 'sending' then $16::text end,
           lease_expires_at = case when i.state = 'sending' then $17::timestamptz end,
           is_dry_run       = i.state = 'sending' and $22
      from input as i
     where q.message_id = i.message_id and i.state in ('scheduled', 'held', 'sending')
), written as (
    update rowbell.message as m
       set state               = i.state::rowbell.message_state,
           reason              = i.reason::rowbell.message_reason,
           reason_text         = i.reason_text,
           waits_for           = i.waits_for::rowbell.message_waits_for,
           (waits_for_template, waits_for_language) = (i.waits_for_template, i.waits_for_language),
           new_row             = case when i.new_row is null then m.new_row when i.new_row <> 'null' then i.new_row end,
           template            = coalesce(i.template, m.template),
           language            = coalesce(i.language, m.language),
           recipient_name      = coalesce(i.recipient_name, m.recipient_name),
           recipient_phone     = coalesce(i.recipient_phone, m.recipient_phone),
           recipient_locale    = coalesce(i.recipient_locale, m.recipient_locale),
           recipient_time_zone = coalesce(i.recipient_time_zone, m.recipient_time_zone),
           time_zone_source    = coalesce(i.time_zone_source, m.time_zone_source),
           summary             = coalesce(i.summary, m.summary),
           parameters          = coalesce(i.parameters, m.parameters),
           due_at              = case when i.state in ('scheduled', 'held') then coalesce(i.due_at, m.due_at) end,
           attempt_count       = m.attempt_count + case when i.state = 'sending' then 1 else 0 end,
           finished_at         = case when i.state in ('failed', 'skipped') then $15::timestamptz end,
           updated_at          = $15,
           updated_by          = 'compose_write'
      from input as i
     where m.message_id = i.message_id
 returning m.message_id, m.state, m.attempt_count
), begun as (
    insert into rowbell.attempt (message_id, number, started_at)
    select message_id, attempt_count, $15 from written where state = 'sending'
)
select message_id, attempt_count from written;
