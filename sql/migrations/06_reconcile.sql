-- 06_reconcile: what is still to be found out about messages that were sent, or perhaps were, and how far the
-- removal of old data has come.

-- Accepted messages whose end is asked for, one row for all that one statement accepted on one channel:
-- an acceptance costs a part of a row, and nothing is written when a receipt comes.
create table rowbell.poll (
    poll_id      bigint generated always as identity primary key,
    channel      text collate "C" not null,
    message_ids  bigint[] not null,

    accepted_at  timestamptz not null,
    due_at       timestamptz not null,
    asked_at     timestamptz,
    asked_count  integer not null default 0,

    constraint asked_at_iff_asked check ((asked_at is not null) = (asked_count > 0))
)
with (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0
);

-- What poll asks: what is due on this channel? The scan carries a lower bound.
create index poll_due_idx on rowbell.poll (channel, due_at, poll_id);

comment on table  rowbell.poll is 'Messages whose end the provider is asked for. A row is deleted when all its messages have ended, or no receipt came for too long.';
comment on column rowbell.poll.poll_id is 'Key.';
comment on column rowbell.poll.channel is 'The channel that they were sent on.';
comment on column rowbell.poll.message_ids is 'Messages that were accepted together and have not ended, as of the last poll.';
comment on column rowbell.poll.accepted_at is 'When the provider accepted them.';
comment on column rowbell.poll.due_at is 'When rowbell asks next.';
comment on column rowbell.poll.asked_at is 'When rowbell asked last.';
comment on column rowbell.poll.asked_count is 'How often rowbell asked.';


-- An attempt whose request the provider may have. Small: deleted when the matter is settled.
create table rowbell.unconfirmed_attempt (
    message_id   bigint not null,
    number       smallint not null,
    channel      text collate "C" not null,
    template     text collate "C" not null,
    phone        text collate "C" not null,
    phone_key    text collate "C" not null,

    is_late      boolean not null default false,
    started_at   timestamptz not null,
    decide_at    timestamptz not null,
    next_at      timestamptz not null,
    asked_count  integer not null default 0,

    primary key (message_id, number),
    constraint lookups_are_counted check (asked_count >= 0)
);

-- What reconcile asks: about which of them is evidence to be looked for now?
create index unconfirmed_attempt_due_idx on rowbell.unconfirmed_attempt (channel, next_at);

comment on table  rowbell.unconfirmed_attempt is 'Attempts that the provider may have taken, while evidence may come. A row is deleted when the matter is settled.';
comment on column rowbell.unconfirmed_attempt.message_id is 'The message.';
comment on column rowbell.unconfirmed_attempt.number is 'The attempt.';
comment on column rowbell.unconfirmed_attempt.channel is 'The channel that it was tried on.';
comment on column rowbell.unconfirmed_attempt.template is 'The template that it was sent as, by its name at the provider.';
comment on column rowbell.unconfirmed_attempt.phone is 'The phone that it was written to: international digits without plus sign.';
comment on column rowbell.unconfirmed_attempt.phone_key is 'The same in the form in which phones are compared: the provider may write it another way.';
comment on column rowbell.unconfirmed_attempt.is_late is 'True once the policy of the watch has left the decision to a person: rowbell no longer looks for evidence, but a late receipt still counts.';
comment on column rowbell.unconfirmed_attempt.started_at is 'When the attempt was begun.';
comment on column rowbell.unconfirmed_attempt.decide_at is 'When the policy of the watch decides.';
comment on column rowbell.unconfirmed_attempt.next_at is 'When rowbell looks for evidence next.';
comment on column rowbell.unconfirmed_attempt.asked_count is 'How often rowbell looked for evidence.';


-- Receipts whose id belonged to no attempt when they came: perhaps of a request whose answer was lost.
create table rowbell.unmatched_receipt (
    provider_message_id  text collate "C" primary key,
    channel              text collate "C" not null,
    phone_key            text collate "C" not null,

    happened_at          timestamptz not null,
    received_at          timestamptz not null
);

-- Which ids may be those of a request to this phone? Which are old enough to be forgotten?
create index unmatched_receipt_of_phone_idx on rowbell.unmatched_receipt (channel, phone_key);
create index unmatched_receipt_age_idx on rowbell.unmatched_receipt (received_at);

comment on table  rowbell.unmatched_receipt is 'Receipts whose id belonged to no attempt when they came. Kept for a day.';
comment on column rowbell.unmatched_receipt.provider_message_id is 'Id of a message at the provider.';
comment on column rowbell.unmatched_receipt.channel is 'The channel it came in on.';
comment on column rowbell.unmatched_receipt.phone_key is 'The phone that it named, in the form in which phones are compared; empty when it named none.';
comment on column rowbell.unmatched_receipt.happened_at is 'When it happened, as the provider says; when it came, where it does not say.';
comment on column rowbell.unmatched_receipt.received_at is 'When it came first.';


create type rowbell.reconcile_lookup_method as enum (
    'receipts',  -- unmatched receipts
    'list',      -- the list of messages at the provider
    'policy',    -- nothing was found: the policy of the watch decided
    'person'     -- a person said what became of it
);
comment on type rowbell.reconcile_lookup_method is 'Where rowbell looked for evidence about a request without answer.';

-- Each step of looking for evidence. Append-only.
create table rowbell.reconcile_lookup (
    reconcile_lookup_id  bigint generated always as identity primary key,
    message_id           bigint not null,
    number               smallint not null,

    method               rowbell.reconcile_lookup_method not null,
    asked_at             timestamptz not null,
    found                text not null,
    provider_message_id  text collate "C"
);
create index reconcile_lookup_of_message_idx on rowbell.reconcile_lookup (message_id, reconcile_lookup_id);
comment on table  rowbell.reconcile_lookup is 'What rowbell did to find out whether the provider has a message, step by step.';
comment on column rowbell.reconcile_lookup.reconcile_lookup_id is 'Order of the steps.';
comment on column rowbell.reconcile_lookup.message_id is 'The message.';
comment on column rowbell.reconcile_lookup.number is 'The unconfirmed attempt.';
comment on column rowbell.reconcile_lookup.method is 'receipts: unmatched receipts. list: the list of messages at the provider. policy: that of the watch decided. person: somebody said what became of it.';
comment on column rowbell.reconcile_lookup.asked_at is 'When.';
comment on column rowbell.reconcile_lookup.found is 'What came of it, in words. Holds no personal data.';
comment on column rowbell.reconcile_lookup.provider_message_id is 'Id of the message at the provider, where it was found.';


create type rowbell.retention_task as enum (
    'redact_messages',
    'redact_receipts',
    'remove_messages',
    'remove_receipts'
);
comment on type rowbell.retention_task is 'What retention removes: personal data, or whole rows.';

-- How far retention has come: personal data goes after a time, facts after a longer one. Ids rise with time,
-- so it walks up and need not look below its bound again; but it passed over what was open or locked then,
-- so now and again it begins anew.
create table rowbell.retention (
    task        rowbell.retention_task primary key,
    done_to     bigint not null,
    began_at    timestamptz not null,
    updated_at  timestamptz not null
);
comment on table  rowbell.retention is 'How far the removal of old personal data and old rows has come; see [retention] of the configuration.';
comment on column rowbell.retention.task is 'redact_messages, redact_receipts, remove_messages or remove_receipts.';
comment on column rowbell.retention.done_to is 'Ids up to this one are done, but for what was open or locked then.';
comment on column rowbell.retention.began_at is 'When it last began from the first id.';
comment on column rowbell.retention.updated_at is 'When it last got further.';
