-- 09_outcome_hook: what the application is told about outcomes.

create type rowbell.outcome as enum ('sent', 'delivered', 'read', 'failed', 'skipped', 'replied');
comment on type rowbell.outcome is 'What the application may be told of a message: the states in which it has left, or ended; replied: a customer answered it.';

-- Which outcomes are wanted: written by the daemon at its start, from its configuration.
create table rowbell.outcome_hook (
    watch  text collate "C" not null,
    -- Its place among the hooks of the watch, from 0; -1: a notification.
    place  smallint not null,
    state  rowbell.outcome not null,

    primary key (watch, place, state)
);
comment on table  rowbell.outcome_hook is 'Which outcomes the application wants to be told, by watch. Written by the daemon at its start.';
comment on column rowbell.outcome_hook.watch is 'The watch.';
comment on column rowbell.outcome_hook.place is 'Which of its hooks, from 0, in the order of the configuration; -1: a notification on channel rowbell_outcome.';
comment on column rowbell.outcome_hook.state is 'The state of a message that is told.';


-- Outcomes that the application has still to be told. Small: a row is deleted when that is done.
create table rowbell.outcome_call (
    call_id        bigint generated always as identity primary key,
    message_id     bigint not null,
    watch          text collate "C" not null,
    place          smallint not null,
    state          rowbell.outcome not null,
    reply_id       bigint,

    stored_at      timestamptz not null default now(),
    due_at         timestamptz not null default now(),
    attempt_count  integer not null default 0,
    last_error     text
)
with (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

-- What is due? And is an earlier outcome of the same message still to be told?
create index outcome_call_due_idx on rowbell.outcome_call (due_at, call_id);
create index outcome_call_of_message_idx on rowbell.outcome_call (message_id, place, call_id);

comment on table  rowbell.outcome_call is 'Outcomes that a hook has still to be told. A row is written in the transaction that stores the outcome, and deleted in the one that runs the hook.';
comment on column rowbell.outcome_call.call_id is 'Order in which the outcomes were stored.';
comment on column rowbell.outcome_call.message_id is 'The message.';
comment on column rowbell.outcome_call.watch is 'Its watch.';
comment on column rowbell.outcome_call.place is 'Which hook of the watch; -1: a notification.';
comment on column rowbell.outcome_call.state is 'The state that it came to.';
comment on column rowbell.outcome_call.reply_id is 'The reply, where that is what is told.';
comment on column rowbell.outcome_call.stored_at is 'When that was stored.';
comment on column rowbell.outcome_call.due_at is 'When the hook is tried, or tried again.';
comment on column rowbell.outcome_call.attempt_count is 'How often the hook has failed.';
comment on column rowbell.outcome_call.last_error is 'Why it failed last.';


create view rowbell_report.outcome_calls as
select c.call_id, c.message_id, c.watch, c.place::integer as place, c.state::text as state,
       c.stored_at, c.due_at, c.attempt_count, c.last_error
  from rowbell.outcome_call as c;

comment on view   rowbell_report.outcome_calls is 'Outcomes that a hook of the application has still to be told: new ones, and those whose hook failed.';
comment on column rowbell_report.outcome_calls.call_id is 'Order in which the outcomes were stored.';
comment on column rowbell_report.outcome_calls.message_id is 'The message.';
comment on column rowbell_report.outcome_calls.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.outcome_calls.place is 'Which hook of the watch, from 0, in the order of the configuration; -1: a notification.';
comment on column rowbell_report.outcome_calls.state is 'What is told: sent, delivered, read, failed, skipped or replied.';
comment on column rowbell_report.outcome_calls.stored_at is 'When that was stored.';
comment on column rowbell_report.outcome_calls.due_at is 'When the hook is tried, or tried again.';
comment on column rowbell_report.outcome_calls.attempt_count is 'How often the hook has failed.';
comment on column rowbell_report.outcome_calls.last_error is 'Why it failed last, as the database said.';
