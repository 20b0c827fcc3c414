-- 10_outgoing_webhook: outcomes that are posted to endpoints of the application, and the trigger that notes outcomes.

-- One row for each endpoint; shared by all daemons, as is the circuit.
create table rowbell.outgoing_webhook (
    endpoint           text collate "C" primary key,
    outcomes           rowbell.outcome[] not null,
    -- Null: of all watches.
    watches            text[],

    -- Its circuit. Failed attempts in a row; since when it rests, until when, and how long this pause is.
    failed_in_a_row    integer not null default 0,
    opened_at          timestamptz,
    next_try_at        timestamptz,
    pause_seconds      double precision,
    -- It answered 410: it is not posted to until a person says so.
    gone_at            timestamptz,

    last_delivered_at  timestamptz,
    last_failed_at     timestamptz,
    last_error         text,

    constraint next_try_iff_open check ((next_try_at is not null) = (opened_at is not null))
)
with (fillfactor = 50);
comment on table  rowbell.outgoing_webhook is 'Endpoints of the application to which outcomes are posted, and how they stand. Written by the daemon at its start, and by deliveries.';
comment on column rowbell.outgoing_webhook.endpoint is 'Its name in the configuration.';
comment on column rowbell.outgoing_webhook.outcomes is 'Which outcomes it is told; none once it is gone from the configuration.';
comment on column rowbell.outgoing_webhook.watches is 'Of which watches; null: of all.';
comment on column rowbell.outgoing_webhook.failed_in_a_row is 'Attempts that failed since the last one that did not.';
comment on column rowbell.outgoing_webhook.opened_at is 'Since when its circuit is open: one delivery at a time is tried; null while all are.';
comment on column rowbell.outgoing_webhook.next_try_at is 'When the next one is tried.';
comment on column rowbell.outgoing_webhook.pause_seconds is 'How long the pause before that is.';
comment on column rowbell.outgoing_webhook.gone_at is 'When it answered 410 (Gone); nothing is posted until a person resumes it.';
comment on column rowbell.outgoing_webhook.last_delivered_at is 'When it took something last.';
comment on column rowbell.outgoing_webhook.last_failed_at is 'When it did not take something last.';
comment on column rowbell.outgoing_webhook.last_error is 'Why not.';


create type rowbell.delivery_state as enum (
    'due',        -- still to be taken; due_at says when it is tried
    'delivered',  -- the endpoint has taken it
    'given_up'    -- it was tried for too long
);
comment on type rowbell.delivery_state is 'How a delivery to an endpoint stands.';

-- One outcome for one endpoint. Kept for as long as its message, so that it can be shown and delivered again.
create table rowbell.outgoing_delivery (
    delivery_id    bigint generated always as identity primary key,
    webhook_id     uuid not null default gen_random_uuid(),
    endpoint       text collate "C" not null,
    message_id     bigint not null,
    watch          text collate "C" not null,
    outcome        rowbell.outcome not null,
    reply_id       bigint,
    stored_at      timestamptz not null default now(),

    state          rowbell.delivery_state not null default 'due',
    -- While it is on its way, when somebody else may try: so a daemon that dies keeps it from nobody for long.
    due_at         timestamptz default now(),
    tried_since    timestamptz not null default now(),
    attempt_count  integer not null default 0,
    http_status    smallint,
    last_error     text,
    ended_at       timestamptz,

    constraint due_at_iff_due check ((due_at is not null) = (state = 'due')),
    constraint ended_at_iff_ended check ((ended_at is not null) = (state <> 'due'))
)
with (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 5000
);

-- What is due? And is an earlier outcome of the same message still to be delivered?
create index outgoing_delivery_due_idx on rowbell.outgoing_delivery (endpoint, due_at, delivery_id) where state <> 'delivered';
create index outgoing_delivery_of_message_idx on rowbell.outgoing_delivery (message_id, endpoint, delivery_id);

comment on table  rowbell.outgoing_delivery is 'Outcomes for endpoints of the application. A row is written in the transaction that stores the outcome; it holds no personal data.';
comment on column rowbell.outgoing_delivery.delivery_id is 'Order in which the outcomes were stored.';
comment on column rowbell.outgoing_delivery.webhook_id is 'Its name towards the endpoint (header webhook-id), the same in every attempt.';
comment on column rowbell.outgoing_delivery.endpoint is 'The endpoint.';
comment on column rowbell.outgoing_delivery.message_id is 'The message.';
comment on column rowbell.outgoing_delivery.watch is 'Its watch.';
comment on column rowbell.outgoing_delivery.outcome is 'What is told of it.';
comment on column rowbell.outgoing_delivery.reply_id is 'The reply, where that is what is told.';
comment on column rowbell.outgoing_delivery.stored_at is 'When that was stored.';
comment on column rowbell.outgoing_delivery.state is 'due, delivered or given_up.';
comment on column rowbell.outgoing_delivery.due_at is 'When it is tried, or tried again; null once it has ended.';
comment on column rowbell.outgoing_delivery.tried_since is 'Since when it is tried: since it was stored, or since a person had it delivered again.';
comment on column rowbell.outgoing_delivery.attempt_count is 'How many attempts were begun.';
comment on column rowbell.outgoing_delivery.http_status is 'What the endpoint answered last; null: nothing.';
comment on column rowbell.outgoing_delivery.last_error is 'Why the last attempt failed, without what the endpoint wrote.';
comment on column rowbell.outgoing_delivery.ended_at is 'When it was delivered, or given up.';


-- By a trigger, so that nobody who moves a message can forget it. Sessions of an installation without hooks leave
-- rowbell.outcomes unset, and pay next to nothing: called for each state, the function would cost more than the update.
-- What a hook itself has changed is muted, and of that
-- no hook is told: otherwise the two would go on for ever.
create function rowbell.note_outcome() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $note$
begin
    insert into rowbell.outcome_call (message_id, watch, place, state)
    select new.message_id, new.watch, h.place, h.state
      from rowbell.outcome_hook as h
     where h.watch = new.watch and h.state = new.state::text::rowbell.outcome
     order by h.place;
    insert into rowbell.outgoing_delivery (endpoint, message_id, watch, outcome)
    select w.endpoint, new.message_id, new.watch, new.state::text::rowbell.outcome
      from rowbell.outgoing_webhook as w
     where new.state::text::rowbell.outcome = any (w.outcomes)
       and (w.watches is null or new.watch = any (w.watches));
    return null;
end
$note$;
comment on function rowbell.note_outcome() is 'Notes that an outcome was stored which a hook or an endpoint wants to be told.';

create trigger note_new_outcome after insert on rowbell.message for each row
  when (current_setting('rowbell.outcomes', true) = 'on'
        and new.state in ('sent', 'delivered', 'read', 'failed', 'skipped') and new.reason is distinct from 'muted')
  execute function rowbell.note_outcome();
create trigger note_outcome after update of state on rowbell.message for each row
  when (current_setting('rowbell.outcomes', true) = 'on'
        and new.state is distinct from old.state and new.state in ('sent', 'delivered', 'read', 'failed', 'skipped')
        and new.reason is distinct from 'muted')
  execute function rowbell.note_outcome();
-- Also where the session_replication_role of the daemon's role or database is not origin.
alter table rowbell.message enable always trigger note_new_outcome;
alter table rowbell.message enable always trigger note_outcome;


create view rowbell_report.outgoing_webhooks as
select w.endpoint,
       case when w.gone_at is not null then 'gone' when w.opened_at is not null then 'resting' else 'open' end as state,
       d.pending, d.oldest_stored_at, w.failed_in_a_row, w.opened_at, w.next_try_at, w.gone_at,
       w.last_delivered_at, w.last_failed_at, w.last_error
  from rowbell.outgoing_webhook as w
 cross join lateral (
       select count(*) as pending, min(d.stored_at) as oldest_stored_at
         from rowbell.outgoing_delivery as d
        where d.endpoint = w.endpoint and d.state = 'due'
  ) as d;

comment on view   rowbell_report.outgoing_webhooks is 'Endpoints of the application to which outcomes are posted, and how they stand.';
comment on column rowbell_report.outgoing_webhooks.endpoint is 'Its name in the configuration.';
comment on column rowbell_report.outgoing_webhooks.state is 'open: everything is posted; resting: it failed again and again, and one delivery at a time is tried; gone: it answered 410, and a person has to resume it.';
comment on column rowbell_report.outgoing_webhooks.pending is 'Deliveries that it has not taken yet.';
comment on column rowbell_report.outgoing_webhooks.oldest_stored_at is 'When the outcome of the oldest of them was stored.';
comment on column rowbell_report.outgoing_webhooks.failed_in_a_row is 'Attempts that failed since the last one that did not.';
comment on column rowbell_report.outgoing_webhooks.opened_at is 'Since when it rests.';
comment on column rowbell_report.outgoing_webhooks.next_try_at is 'When the next delivery is tried, while it rests.';
comment on column rowbell_report.outgoing_webhooks.gone_at is 'When it answered 410.';
comment on column rowbell_report.outgoing_webhooks.last_delivered_at is 'When it took something last.';
comment on column rowbell_report.outgoing_webhooks.last_failed_at is 'When it did not take something last.';
comment on column rowbell_report.outgoing_webhooks.last_error is 'Why not.';

create view rowbell_report.outgoing_deliveries as
select d.delivery_id, 'msg_' || replace(d.webhook_id::text, '-', '') as webhook_id, d.endpoint, d.message_id, d.watch,
       d.outcome::text as outcome, d.stored_at, d.state::text as state, d.due_at, d.attempt_count,
       d.http_status::integer as http_status, d.last_error, d.ended_at
  from rowbell.outgoing_delivery as d;

comment on view   rowbell_report.outgoing_deliveries is 'Outcomes that were or will be posted to endpoints of the application. Fast when filtered by message_id.';
comment on column rowbell_report.outgoing_deliveries.delivery_id is 'Order in which the outcomes were stored.';
comment on column rowbell_report.outgoing_deliveries.webhook_id is 'Header webhook-id, the same in every attempt.';
comment on column rowbell_report.outgoing_deliveries.endpoint is 'Name of the endpoint, as in the configuration.';
comment on column rowbell_report.outgoing_deliveries.message_id is 'The message.';
comment on column rowbell_report.outgoing_deliveries.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.outgoing_deliveries.outcome is 'What is told of it: sent, delivered, read, failed, skipped or replied.';
comment on column rowbell_report.outgoing_deliveries.stored_at is 'When that was stored.';
comment on column rowbell_report.outgoing_deliveries.state is 'due, delivered or given_up.';
comment on column rowbell_report.outgoing_deliveries.due_at is 'When it is tried, or tried again; null once it has ended.';
comment on column rowbell_report.outgoing_deliveries.attempt_count is 'How many attempts were begun.';
comment on column rowbell_report.outgoing_deliveries.http_status is 'What the endpoint answered last; null: nothing.';
comment on column rowbell_report.outgoing_deliveries.last_error is 'Why the last attempt failed.';
comment on column rowbell_report.outgoing_deliveries.ended_at is 'When it was delivered, or given up.';
