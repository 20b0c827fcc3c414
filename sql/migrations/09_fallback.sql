-- 09_fallback: a message that did not reach its recipient goes to the next channel of its watch.

alter table rowbell.message add column fallback_of bigint;
comment on column rowbell.message.fallback_of is 'The message that this one stands in for on another channel: the first of its chain. Null for a message that stands for itself.';

-- What a receipt asks that came late: who stands in for this message?
create index message_fallback_idx on rowbell.message (fallback_of) where fallback_of is not null;


create type rowbell.fallback_cause as enum (
    'failed',       -- undeliverable, or every attempt failed
    'skipped',      -- the recipient cannot be reached there, or does not want to
    'undelivered'   -- accepted, and not delivered by due_at
);
comment on type rowbell.fallback_cause is 'Why a message may go to the next channel of its watch.';

-- Messages that may have to go to the next channel of their watch, and when that is looked at. Small:
-- a row is deleted when it was looked at and nothing is to be awaited any more.
create table rowbell.fallback (
    message_id   bigint primary key,
    cause        rowbell.fallback_cause not null,
    due_at       timestamptz not null,
    reason_text  text
)
with (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 50000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0
);

-- What the fallback stage asks: which of them are due? Its scan carries a lower bound.
create index fallback_due_idx on rowbell.fallback (due_at, message_id);

comment on table  rowbell.fallback is 'Messages that may have to go to the next channel of their watch. A row is deleted when it is clear whether they do.';
comment on column rowbell.fallback.message_id is 'The message.';
comment on column rowbell.fallback.cause is 'failed, skipped or undelivered.';
comment on column rowbell.fallback.due_at is 'When that is looked at.';
comment on column rowbell.fallback.reason_text is 'Why it was put off when it was looked at last.';
