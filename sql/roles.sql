-- roles: who may do what with the schemas of rowbell. Run by every "rowbell migrate", after the
-- migrations, so that it also finds roles that were made later, and databases that were restored on
-- a server without them. Running it again changes nothing.
--
--   rowbell_daemon   what "rowbell run", "status" and "explain" need, and no more
--   rowbell_analyst  the views of rowbell_report
--
-- Both are groups without a login. A site gives them to its users:
--
--   create role rowbell login in role rowbell_daemon;
--   grant rowbell_analyst to maria;
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
          from unnest(array['rowbell_daemon', 'rowbell_analyst']) as name
         where not exists (select from pg_catalog.pg_roles where rolname = name)
    loop
        begin
            execute format('create role %I nologin', wanted);
            execute format('comment on role %I is %L', wanted,
                case wanted when 'rowbell_daemon' then 'What the daemon of rowbell needs. Made by "rowbell migrate".'
                            else 'Reads the reports of rowbell. Made by "rowbell migrate".' end);
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
            template, language, recipient_name, recipient_phone, recipient_locale, recipient_time_zone,
            time_zone_source, summary, parameters, due_at, attempt_count, provider_message_id,
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
        grant select on rowbell_report.funnel, rowbell_report.delivery_by_day, rowbell_report.failures to rowbell_daemon;

        -- What the application is told, and which outcomes it wants to be told.
        grant select, insert, update, delete on rowbell.outcome_hook, rowbell.outcome_call to rowbell_daemon;
        grant select, insert, update, delete on rowbell.outgoing_webhook, rowbell.outgoing_delivery to rowbell_daemon;

        -- What customers answer; it is joined to its message, and redacted.
        grant select, insert, delete on rowbell.reply to rowbell_daemon;
        grant update (message_id, phone, body, payload) on rowbell.reply to rowbell_daemon;

        -- What people decide on the page, or ask to see; nobody takes that back.
        grant select, insert on rowbell.person_act to rowbell_daemon;

        -- Requests without answer, and what is done to find out about them.
        grant select, insert, update, delete on rowbell.unconfirmed_attempt, rowbell.unmatched_receipt to rowbell_daemon;
        grant select, insert, delete on rowbell.reconcile_lookup to rowbell_daemon;
    end if;

    if exists (select from pg_catalog.pg_roles where rolname = 'rowbell_analyst') then
        grant usage on schema rowbell_report to rowbell_analyst;
        grant select on all tables in schema rowbell_report to rowbell_analyst;
    end if;

    -- What was given is written down, so that "rowbell doctor" finds what somebody takes back.
    delete from rowbell.schema_object where kind = 'right';
    insert into rowbell.schema_object (kind, name, definition)
    select kind, name, definition from rowbell.schema_object_now where kind = 'right';
end
$roles$;
