-- roles: who may do what with the schemas of rowbell. Run by every "rowbell migrate", after the
-- migrations, so that it also finds roles that were made later, and databases that were restored on
-- a server without them. Running it again changes nothing.
--
--   rowbell_daemon   what "rowbell run", "status" and "explain" need, and no more
--   rowbell_support  the views of rowbell_report
--   rowbell_analyst  the same without personal data: of each view the columns that are named below
--
-- All are groups without a login. A site gives them to its users:
--
--   create role rowbell login in role rowbell_daemon;
--   grant rowbell_support to maria;
--   grant rowbell_analyst to ana;
--
-- Roles belong to the whole server. They are made only if they are missing and if we may; where we may
-- not (managed services), a DBA makes them and "rowbell migrate" run again gives them their rights.
-- Reading the business's own tables is for their owner to grant; "rowbell watch" says which.
do $roles$
declare
    wanted  text;
begin
    for wanted in
        select name
          from unnest(array['rowbell_daemon', 'rowbell_analyst', 'rowbell_support']) as name
         where not exists (select from pg_catalog.pg_roles where rolname = name)
    loop
        begin
            execute format('create role %I nologin', wanted);
            execute format('comment on role %I is %L', wanted,
                case wanted when 'rowbell_daemon' then 'What the daemon of rowbell needs. Made by "rowbell migrate".'
                            when 'rowbell_support' then 'Reads the reports of rowbell, names, phones and words included. Made by "rowbell migrate".'
                            else 'Reads the reports of rowbell without personal data. Made by "rowbell migrate".' end);
        exception
            when insufficient_privilege then
                raise notice 'role % is missing: have a DBA run "create role % nologin", then run "rowbell migrate" again', wanted, wanted;
            when duplicate_object or unique_violation then
                null;  -- Another database of this server makes the same role at this moment.
        end;
    end loop;

    -- Only the owner can grant. Somebody else who runs migrate on a schema that is up to date is fine.
    if not (select pg_has_role(nspowner, 'usage') from pg_catalog.pg_namespace where nspname = 'rowbell') then
        return;
    end if;

    if exists (select from pg_catalog.pg_roles where rolname = 'rowbell_daemon') then
        -- What an earlier release needed and this one does not is taken back.
        revoke all on all tables in schema rowbell from rowbell_daemon;
        revoke all on all sequences in schema rowbell from rowbell_daemon;
        grant usage on schema rowbell to rowbell_daemon;

        grant select on rowbell.installation, rowbell.channel, rowbell.opt_out to rowbell_daemon;
        grant select on rowbell.schema_object, rowbell.schema_object_now to rowbell_daemon;

        -- Who sends on a channel, and what it has learned.
        grant insert, update on rowbell.channel to rowbell_daemon;
        grant select, insert, update, delete on rowbell.daemon, rowbell.budget_recipient to rowbell_daemon;

        -- The first daemon ever writes down for which environment and server it sends.
        grant update (environment, system_identifier, database_oid, updated_at) on rowbell.installation to rowbell_daemon;

        -- What a person stops and starts again, as the same user.
        grant select, insert, update, delete on rowbell.pause to rowbell_daemon;

        -- What stops by itself, and starts again by itself; storms are opened by the daemon too.
        grant select, insert, update on rowbell.circuit, rowbell.hold to rowbell_daemon;
        grant select, insert, update, delete on rowbell.large_transaction to rowbell_daemon;

        -- Who stopped all messages at WhatsApp, or wrote to be left alone, is remembered; the same person
        -- may lift that, and so may "opt-out", which runs as the same user.
        grant insert, delete on rowbell.opt_out to rowbell_daemon;
        grant select, insert, delete on rowbell.consent_event to rowbell_daemon;
        grant select, insert, update, delete on rowbell.opt_out_request to rowbell_daemon;
        grant select, insert, delete on rowbell.opt_out_report to rowbell_daemon;

        -- Changes are written by the triggers, which run as their owner; the daemon takes them away. What was never
        -- captured is written by "catch-up", which runs as the same user.
        grant select, insert, delete on rowbell.change to rowbell_daemon;
        grant select on rowbell.layout, rowbell.change_row, rowbell.change_to_claim, rowbell.held_transaction to rowbell_daemon;
        grant select, insert, update on rowbell.gap to rowbell_daemon;
        grant select on sequence rowbell.dropped to rowbell_daemon;
        grant select on sequence rowbell.change_change_id_seq to rowbell_daemon;
        grant select, update on sequence rowbell.doorbell to rowbell_daemon;

        -- What happened, to which watch, and on which channel is written once; retention deletes it.
        grant select, insert, delete on rowbell.message to rowbell_daemon;
        grant update (
            entity_key, state, reason, reason_text, waits_for, waits_for_template, waits_for_language, operation,
            recipient_key, is_for_all, change_count, last_changed_at, old_row, new_row, changed_by,
            template, language, recipient_name, recipient_phone, recipient_country, recipient_locale, recipient_time_zone,
            time_zone_source, in_quiet_hours, summary, parameters, due_at, attempt_count, provider_message_id,
            confirmed_by, sent_at, delivered_at, read_at, finished_at, redacted_at, updated_at, updated_by
        ) on rowbell.message to rowbell_daemon;
        grant select, insert, update, delete on rowbell.queue, rowbell.fallback, rowbell.last_told to rowbell_daemon;

        -- An attempt is completed once; what evidence says is never changed, its texts are redacted.
        grant select, insert, delete on rowbell.attempt to rowbell_daemon;
        grant update (
            result, finished_at, http_status, error_class, error_code, error_text, provider_message_id, response,
            template, language, parameters
        ) on rowbell.attempt to rowbell_daemon;
        grant select, insert, delete on rowbell.receipt to rowbell_daemon;
        grant update (raw, recipient_phone, error_text, repeats) on rowbell.receipt to rowbell_daemon;
        grant select, insert, update on rowbell.retention to rowbell_daemon;

        -- What it still asks the provider for, and what it was told by whom.
        grant select, insert, update, delete on rowbell.poll to rowbell_daemon;
        grant select, insert, update on rowbell.receipt_source to rowbell_daemon;

        -- The figures of the page are queries that analysts can run, too.
        grant usage on schema rowbell_report to rowbell_daemon;
        grant select on rowbell_report.day, rowbell_report.day_latency, rowbell_report.cost to rowbell_daemon;

        -- The messages of each day are counted; days outlive their messages.
        grant select, insert, delete on rowbell.day to rowbell_daemon;
        grant select, insert, update, delete on rowbell.day_span, rowbell.day_latency to rowbell_daemon;
        grant select, update on rowbell.day_look to rowbell_daemon;

        -- What the application is told, and which outcomes it wants to be told.
        grant select, insert, update, delete on rowbell.outcome_hook, rowbell.outcome_call to rowbell_daemon;
        grant select, insert, update, delete on rowbell.outgoing_webhook, rowbell.outgoing_delivery to rowbell_daemon;

        -- What customers answer; it is joined to its message, and redacted.
        grant select, insert, delete on rowbell.reply to rowbell_daemon;
        grant update (message_id, phone, body, payload) on rowbell.reply to rowbell_daemon;

        -- What the operator was told, and has still to be told.
        grant select, insert, update, delete on rowbell.alert to rowbell_daemon;

        -- What people decide on the page, or ask to see; nobody takes that back.
        grant select, insert on rowbell.person_act to rowbell_daemon;

        -- Requests without answer, and what is done to find out about them.
        grant select, insert, update, delete on rowbell.unconfirmed_attempt, rowbell.unmatched_receipt to rowbell_daemon;
        grant select, insert, delete on rowbell.reconcile_lookup to rowbell_daemon;
    end if;

    if exists (select from pg_catalog.pg_roles where rolname = 'rowbell_support') then
        revoke all on all tables in schema rowbell_report from rowbell_support;
        grant usage on schema rowbell_report to rowbell_support;
        grant select on all tables in schema rowbell_report to rowbell_support;
    end if;

    -- No name, phone, mail address, key of a row, word of a message or of a customer, and no text of a provider, whose ids
    -- and errors hold phones as well (the id of WhatsApp, wamid…, is one in another form). A column that is not named
    -- here is not seen.
    if exists (select from pg_catalog.pg_roles where rolname = 'rowbell_analyst') then
        revoke all on all tables in schema rowbell_report from rowbell_analyst;
        grant usage on schema rowbell_report to rowbell_analyst;
        grant select on
            rowbell_report.delivery_by_day, rowbell_report.funnel, rowbell_report.latency, rowbell_report.day, rowbell_report.cost,
            rowbell_report.day_latency, rowbell_report.version
            to rowbell_analyst;
        grant select (
            message_id, watch, state, reason, operation, change_count, channel, template, language, recipient_locale,
            recipient_time_zone, attempt_count, last_error_code, last_error_class, last_error_at, first_changed_at,
            last_changed_at, created_at, due_at, sent_at, delivered_at, read_at, finished_at, updated_at,
            first_change_to_sent, last_change_to_sent, first_change_to_delivered, sent_to_delivered, delivered_to_read,
            is_dry_run, waits_for, fallback_of, phone_hash, recipient_hash, entity_hash, changed_by_hash,
            recipient_country, in_quiet_hours
        ) on rowbell_report.message_status to rowbell_analyst;
        grant select (
            watch, status, told_at, message_id, attempt_number, recipient_hash, entity_hash
        ) on rowbell_report.last_told to rowbell_analyst;
        grant select (watch, message_id, happened_at, step, event) on rowbell_report.change_story to rowbell_analyst;
        grant select (
            message_id, watch, channel, template, language, reason, error_code, error_class, attempt_count,
            first_changed_at, failed_at
        ) on rowbell_report.failures to rowbell_analyst;
        grant select (
            watch, channel, reason, error_class, error_code, messages, first_failed_at, last_failed_at, last_message_id
        ) on rowbell_report.failure_reasons to rowbell_analyst;
        grant select (
            message_id, watch, channel, attempt_count, sent_perhaps_at, waits_for, decided_at, first_changed_at
        ) on rowbell_report.unconfirmed to rowbell_analyst;
        grant select (
            lookup_id, message_id, watch, channel, state, attempt_number, asked_at, method
        ) on rowbell_report.lookups to rowbell_analyst;
        grant select (
            message_id, watch, channel, state, receipts, by_webhook, by_polling, duplicates, late, is_contradictory,
            came_before_answer, is_lost, first_error_code, first_receipt_at, last_receipt_at
        ) on rowbell_report.evidence to rowbell_analyst;
        grant select (
            message_id, first_message_id, watch, first_channel, first_state, first_reason, place, channel, state, reason,
            opened_at, sent_at, first_change_to_sent, first_delivered_at
        ) on rowbell_report.fallbacks to rowbell_analyst;
        grant select (
            message_id, watch, channel, template, language, recipient_locale, recipient_time_zone, change_count,
            first_changed_at, recorded_at
        ) on rowbell_report.dry_runs to rowbell_analyst;
        grant select (since, source, watch, phone_hash) on rowbell_report.opt_outs to rowbell_analyst;
        grant select (
            consent_id, watch, event, happened_at, source, recorded_at, is_latest, phone_hash
        ) on rowbell_report.consent to rowbell_analyst;
        grant select (act_id, acted_at, kind, watch, channel, hold_id, message_id, messages, way) on rowbell_report.person_acts to rowbell_analyst;
        grant select (
            reply_id, message_id, watch, channel, kind, written_at, received_at
        ) on rowbell_report.replies to rowbell_analyst;
        grant select (
            endpoint, state, pending, oldest_stored_at, failed_in_a_row, opened_at, next_try_at, gone_at,
            last_delivered_at, last_failed_at
        ) on rowbell_report.outgoing_webhooks to rowbell_analyst;
        grant select (
            delivery_id, endpoint, message_id, watch, outcome, stored_at, state, due_at, attempt_count, http_status, ended_at
        ) on rowbell_report.outgoing_deliveries to rowbell_analyst;
        grant select (
            call_id, message_id, watch, place, state, stored_at, due_at, attempt_count
        ) on rowbell_report.outcome_calls to rowbell_analyst;
        grant select (
            alert_id, kind, began_at, told_at, over_at, over_told_at
        ) on rowbell_report.alerts to rowbell_analyst;
    end if;

    -- What was given is written down, so that "rowbell doctor" finds what somebody takes back.
    delete from rowbell.schema_object where kind = 'right';
    insert into rowbell.schema_object (kind, name, definition)
    select kind, name, definition from rowbell.schema_object_now where kind = 'right';
end
$roles$;
