-- 05_channel: what is remembered about channels, what keeps messages from leaving, and who does not want any.
-- All of it survives a restart.

create table rowbell.channel (
    channel           text collate "C" primary key,

    -- The one daemon instance that sends on this channel, until when, and how often it changed hands.
    leased_by         text collate "C",
    lease_expires_at  timestamptz,
    epoch             bigint not null default 0,

    -- The daemon instance that a person gave it to.
    given_to          text collate "C",

    -- The learned rate grows back by itself: what counts is how large it was, and when.
    learned_rate      double precision,
    learned_at        timestamptz,

    updated_at        timestamptz not null default now(),

    constraint lease_iff_expiry check ((leased_by is null) = (lease_expires_at is null)),
    constraint learned_rate_has_a_time check ((learned_rate is null) = (learned_at is null))
);
comment on table  rowbell.channel is 'State of a channel that must survive a restart.';
comment on column rowbell.channel.channel is 'Name of the channel, as in the configuration.';
comment on column rowbell.channel.leased_by is 'The daemon instance that sends on it; null while none does.';
comment on column rowbell.channel.lease_expires_at is 'When its lease ends unless it renews it. The lease also ends when none of the instance''s sessions is connected any more.';
comment on column rowbell.channel.epoch is 'How often another daemon took the lease. rowbell refuses what a holder of an earlier epoch would write.';
comment on column rowbell.channel.given_to is 'The daemon instance that a person gave it to ("rowbell channel move"): it sends on it for as long as it lives. Null: channels are spread evenly.';
comment on column rowbell.channel.learned_rate is 'Messages a second to which the rate was cut when the provider last asked to slow down; null if it never did.';
comment on column rowbell.channel.learned_at is 'When that was. The rate has grown since, from nothing to the configured one within ten minutes.';
comment on column rowbell.channel.updated_at is 'When this row was last written.';


-- Whom the channels of a budget have written to within the last day: WhatsApp counts different phones by business
-- portfolio, and channels of one portfolio may be sent by several daemons.
create table rowbell.budget_recipient (
    budget      text collate "C" not null,
    phone       text collate "C" not null,
    written_at  timestamptz not null,

    primary key (budget, phone)
);
create index budget_recipient_time_idx on rowbell.budget_recipient (budget, written_at);
comment on table  rowbell.budget_recipient is 'Phones that the channels of a budget have written to within the last day.';
comment on column rowbell.budget_recipient.budget is 'Name of the budget, as in the configuration.';
comment on column rowbell.budget_recipient.phone is 'International digits, in the form in which phones are compared.';
comment on column rowbell.budget_recipient.written_at is 'When it was last about to be written to.';


-- Each session of a daemon holds a shared advisory lock, whose second key are the first eight digits of its instance.
create function rowbell.is_connected(instance text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select
          from pg_locks as l
         where l.locktype = 'advisory'
           and l.database = (select d.oid from pg_database as d where d.datname = current_database())
           and l.classid = 1919907682
           and l.objid::bigint = ('x' || left(instance, 8))::bit(32)::bigint
           and l.granted
    )
$$;
comment on function rowbell.is_connected(text) is 'Whether a session of this daemon instance is connected to this database.';


-- The daemons that run on this database. Each channel is sent by one of them.
create table rowbell.daemon (
    instance     text collate "C" primary key,
    name         text not null,
    channels     text[] not null,
    started_at   timestamptz not null,
    alive_until  timestamptz not null
);
comment on table  rowbell.daemon is 'The daemons that run on this database, and some that did until lately.';
comment on column rowbell.daemon.instance is 'The daemon instance, new at every start.';
comment on column rowbell.daemon.name is 'By which people know it: host and process id.';
comment on column rowbell.daemon.channels is 'The channels of its configuration, on which it could send.';
comment on column rowbell.daemon.started_at is 'When it started.';
comment on column rowbell.daemon.alive_until is 'Until when it counts as alive unless it writes again. It also counts as gone when none of its sessions is connected any more.';


create type rowbell.circuit_state as enum (
    'closed',   -- sending
    'open',     -- stopped by errors until probe_at
    'probing'   -- one message is tried; what becomes of it decides
);
comment on type rowbell.circuit_state is 'Whether a channel or template sends, or errors stopped it.';

-- A channel, or a template in one language on a channel, that was stopped by errors. WhatsApp approves,
-- pauses and rejects each language of a template by itself, so that each has its own circuit.
create table rowbell.circuit (
    channel           text collate "C" not null,
    -- Both empty: the channel as a whole.
    template          text collate "C" not null default '',
    language          text collate "C" not null default '',

    state             rowbell.circuit_state not null,
    since             timestamptz not null,
    probe_at          timestamptz not null,
    closed_at         timestamptz,
    pause_seconds     double precision not null,
    probe_message_id  bigint,
    opened_count      integer not null default 1,

    reason            text not null,
    error_code        integer,
    -- Evidence came after the provider had accepted: then only a receipt closes it again.
    is_by_receipt     boolean not null default false,

    updated_at        timestamptz not null,

    primary key (channel, template, language),
    constraint closed_at_iff_closed check ((closed_at is not null) = (state = 'closed')),
    constraint language_iff_template check ((template = '') = (language = ''))
);
comment on table  rowbell.circuit is 'Channels and templates that errors stop now, or stopped earlier. One that errors never stopped is absent.';
comment on column rowbell.circuit.channel is 'Name of the channel, as in the configuration.';
comment on column rowbell.circuit.template is 'Name of the template at the provider; empty for the channel as a whole.';
comment on column rowbell.circuit.language is 'Language code of the template; empty for the channel as a whole.';
comment on column rowbell.circuit.state is 'closed: sending. open: stopped until probe_at. probing: one message is tried.';
comment on column rowbell.circuit.since is 'Since when it is stopped, or was stopped last.';
comment on column rowbell.circuit.probe_at is 'When the next message may be tried.';
comment on column rowbell.circuit.closed_at is 'Since when it sends again; null while it is stopped.';
comment on column rowbell.circuit.pause_seconds is 'How long it waits before the next message is tried; grows with each failed try.';
comment on column rowbell.circuit.probe_message_id is 'The message that is being tried, or was tried last.';
comment on column rowbell.circuit.opened_count is 'How often it was stopped in all.';
comment on column rowbell.circuit.reason is 'Why it was stopped last, in words. Holds no personal data.';
comment on column rowbell.circuit.error_code is 'Error code of WhatsApp that stopped it last, if there was one.';
comment on column rowbell.circuit.is_by_receipt is 'True when receipts reported the errors, and not the answers to requests.';
comment on column rowbell.circuit.updated_at is 'When this row was last written.';


create type rowbell.pause_kind as enum ('channel', 'watch');
comment on type rowbell.pause_kind is 'What a person can pause.';

-- Paused by a person, until a person resumes it.
create table rowbell.pause (
    kind       rowbell.pause_kind not null,
    name       text not null,

    since      timestamptz not null default now(),
    reason     text,
    paused_by  text not null default session_user,

    primary key (kind, name)
);
comment on table  rowbell.pause is 'Channels and watches that a person has paused. Changes are captured all the same, and their messages wait.';
comment on column rowbell.pause.kind is 'channel or watch.';
comment on column rowbell.pause.name is 'Its name, as in the configuration.';
comment on column rowbell.pause.since is 'Since when.';
comment on column rowbell.pause.reason is 'Why, in words.';
comment on column rowbell.pause.paused_by is 'Database user who paused it.';


create type rowbell.receipt_source_kind as enum (
    'webhook',      -- receipts that the provider posts to us
    'polling',      -- receipts that we ask the provider for
    'registration', -- our webhook as the provider has it
    'unread'        -- what the provider posted to us last that was not understood
);
comment on type rowbell.receipt_source_kind is 'How receipts of a channel reach rowbell, and whether the provider has our webhook.';

create type rowbell.receipt_source_state as enum (
    'works',
    'missing',  -- the provider does not have it
    'failing'   -- it could not be asked, or has given up posting to us
);
comment on type rowbell.receipt_source_state is 'Whether a receipt source works.';

-- How receipts of a channel reach us.
create table rowbell.receipt_source (
    channel         text collate "C" not null,
    kind            rowbell.receipt_source_kind not null,

    state           rowbell.receipt_source_state not null,
    since           timestamptz not null,
    last_worked_at  timestamptz,
    detail          text,

    primary key (channel, kind)
);
comment on table  rowbell.receipt_source is 'Receipt sources of channels: whether each works, and when it last did. A source of which nothing is known yet is absent.';
comment on column rowbell.receipt_source.channel is 'Name of the channel, as in the configuration.';
comment on column rowbell.receipt_source.kind is 'webhook: receipts that the provider posts to us. polling: receipts that we ask the provider for. registration: our webhook as the provider has it. unread: what the provider posted last that was not understood.';
comment on column rowbell.receipt_source.state is 'works; missing: the provider does not have it; failing: the provider could not be asked, or has given up posting to us.';
comment on column rowbell.receipt_source.since is 'Since when it is in this state.';
comment on column rowbell.receipt_source.last_worked_at is 'When it last worked, to the minute.';
comment on column rowbell.receipt_source.detail is 'Why it fails, in words. Holds no personal data.';


create type rowbell.opt_out_source as enum (
    'inbound',   -- the customer wrote it to us
    'operator',
    'import',
    'provider'   -- WhatsApp refused a message because of it
);
comment on type rowbell.opt_out_source is 'Who requested that a phone is not written to.';

-- Who must not be written to. Only these count; see rowbell.opt_out_request for what customers wrote.
create table rowbell.opt_out (
    phone   text collate "C" not null,
    -- Name of a watch; empty: all of them.
    scope   text collate "C" not null default '',

    source  rowbell.opt_out_source not null,
    since   timestamptz not null default now(),
    origin  text,
    reason  text,

    primary key (phone, scope)
);
comment on table  rowbell.opt_out is 'Phones that must not be written to.';
comment on column rowbell.opt_out.phone is 'International digits without plus sign.';
comment on column rowbell.opt_out.scope is 'Name of the watch that the phone must not be told of; empty: of nothing.';
comment on column rowbell.opt_out.source is 'Who requested it: inbound (the customer), operator, import or provider.';
comment on column rowbell.opt_out.since is 'Since when.';
comment on column rowbell.opt_out.origin is 'From where it came: the channel that it was written on, the file that was imported, or who typed the command; null where that is not known.';
comment on column rowbell.opt_out.reason is 'Why, in words.';


-- Each time that a phone opted out or in. Append-only: what held at any moment can be shown later.
create table rowbell.consent_event (
    consent_event_id  bigint generated always as identity primary key,
    phone             text collate "C" not null,
    scope             text collate "C" not null,
    is_opt_out        boolean not null,

    source            rowbell.opt_out_source not null,
    happened_at       timestamptz not null,
    recorded_at       timestamptz not null default now(),
    recorded_by       text not null default session_user,
    origin            text,
    reason            text
);
create index consent_event_of_phone_idx on rowbell.consent_event (phone, consent_event_id);
comment on table  rowbell.consent_event is 'Each time that a phone opted out or in, whoever wrote it into rowbell.opt_out.';
comment on column rowbell.consent_event.consent_event_id is 'Order in which they were recorded.';
comment on column rowbell.consent_event.phone is 'International digits without plus sign.';
comment on column rowbell.consent_event.scope is 'Name of the watch that it is about; empty: all of them.';
comment on column rowbell.consent_event.is_opt_out is 'True: from then on the phone must not be written to. False: it may be.';
comment on column rowbell.consent_event.source is 'Who requested it: inbound (the customer), operator, import or provider.';
comment on column rowbell.consent_event.happened_at is 'When it was requested.';
comment on column rowbell.consent_event.recorded_at is 'When it was recorded.';
comment on column rowbell.consent_event.recorded_by is 'Database user who recorded it.';
comment on column rowbell.consent_event.origin is 'From where it came; see rowbell.opt_out.origin.';
comment on column rowbell.consent_event.reason is 'Why, in words.';

-- By a trigger, so that nobody who writes the list can forget the record. Who lifts an opt-out says so in
-- rowbell.opt_in_source; without it, the customer has lifted what the customer wrote, and an operator the rest.
create function rowbell.record_consent() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $record$
declare
    source     rowbell.opt_out_source;
    requested  timestamptz;
begin
    if tg_op = 'INSERT' then
        insert into rowbell.consent_event (phone, scope, is_opt_out, source, happened_at, origin, reason)
        values (new.phone, new.scope, true, new.source, new.since, new.origin, new.reason);
        return null;
    end if;
    source := coalesce(nullif(current_setting('rowbell.opt_in_source', true), ''),
                       case old.source when 'inbound' then 'inbound' else 'operator' end);
    if source = 'inbound' then
        select r.requested_at into requested
          from rowbell.opt_out_request as r
         where r.phone = old.phone and not r.is_opt_out;
    end if;
    insert into rowbell.consent_event (phone, scope, is_opt_out, source, happened_at)
    values (old.phone, old.scope, false, source, coalesce(requested, now()));
    return null;
end
$record$;
comment on function rowbell.record_consent() is 'Records in rowbell.consent_event what is written into rowbell.opt_out and removed from it.';

create trigger record_consent after insert or delete on rowbell.opt_out
   for each row execute function rowbell.record_consent();
-- Also where the session_replication_role of a session is not origin.
alter table rowbell.opt_out enable always trigger record_consent;


-- The latest request of each phone. A repeated or late STOP must not undo the START that came after it, so
-- it is kept when the request was written, not when it arrived.
create table rowbell.opt_out_request (
    phone         text collate "C" primary key,
    is_opt_out    boolean not null,
    requested_at  timestamptz not null
);
comment on table  rowbell.opt_out_request is 'The latest request that a customer wrote: to opt out, or to opt in again. See rowbell.opt_out for the phones that are not written to.';
comment on column rowbell.opt_out_request.phone is 'International digits, as the provider writes them.';
comment on column rowbell.opt_out_request.is_opt_out is 'True: the customer opts out. False: the customer opts in again.';
comment on column rowbell.opt_out_request.requested_at is 'When it was written.';


-- What WhatsApp reports as an opt-out (131050) is written with the evidence, and believed once it is sure that it is no
-- burst of errors: then it becomes a row of rowbell.opt_out.
create table rowbell.opt_out_report (
    message_id   bigint primary key,
    channel      text collate "C" not null,
    reported_at  timestamptz not null
);
comment on table  rowbell.opt_out_report is 'Opt-outs that WhatsApp reported lately, until they are believed. A burst of them is not.';
comment on column rowbell.opt_out_report.message_id is 'The message that was refused because of it.';
comment on column rowbell.opt_out_report.channel is 'Its channel.';
comment on column rowbell.opt_out_report.reported_at is 'When it was reported.';
