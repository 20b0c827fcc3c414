-- 07_stop: what keeps messages from leaving: circuits, pauses and holds. They survive a restart.

-- Both move to tables of their own: templates have circuits too, and watches can be paused.
alter table rowbell.channel
    drop column is_paused,
    drop column paused_reason,
    drop column circuit,
    drop column circuit_reason,
    drop column circuit_since;


create type rowbell.circuit_state as enum (
    'closed',   -- sending
    'open',     -- stopped by errors until probe_at
    'probing'   -- one message is tried; what becomes of it decides
);
comment on type rowbell.circuit_state is 'Whether a channel or template sends, or was stopped by errors.';

-- A channel, or a template in one language on a channel, that was stopped by errors. WhatsApp approves,
-- pauses and rejects each language of a template by itself, so that each has its own circuit.
create table rowbell.circuit (
    channel           text not null,
    -- Both empty: the channel as a whole.
    template          text not null default '',
    language          text not null default '',

    state             rowbell.circuit_state not null,
    reason            text not null,
    error_code        integer,
    -- Evidence came after the provider had accepted: then only a receipt closes it again.
    is_by_receipt     boolean not null default false,
    since             timestamptz not null,
    pause_seconds     double precision not null,
    probe_at          timestamptz not null,
    probe_message_id  bigint,
    closed_at         timestamptz,
    opened_count      integer not null default 1,
    updated_at        timestamptz not null,

    primary key (channel, template, language),
    constraint closed_at_iff_closed check ((closed_at is not null) = (state = 'closed')),
    constraint language_iff_template check ((template = '') = (language = ''))
);
comment on table  rowbell.circuit is 'Channels and templates that were stopped by errors, now or earlier. One that never was is absent.';
comment on column rowbell.circuit.channel is 'Name of the channel, as in the configuration.';
comment on column rowbell.circuit.template is 'Name of the template at the provider; empty for the channel as a whole.';
comment on column rowbell.circuit.language is 'Language code of the template; empty for the channel as a whole.';
comment on column rowbell.circuit.state is 'closed: sending. open: stopped until probe_at. probing: one message is tried.';
comment on column rowbell.circuit.reason is 'Why it was stopped last, in words. Holds no personal data.';
comment on column rowbell.circuit.error_code is 'Error code of WhatsApp that stopped it last, if there was one.';
comment on column rowbell.circuit.is_by_receipt is 'True when receipts, not answers, told of the errors.';
comment on column rowbell.circuit.since is 'Since when it is stopped, or was last.';
comment on column rowbell.circuit.pause_seconds is 'How long it rests before the next message is tried; grows with each try in vain.';
comment on column rowbell.circuit.probe_at is 'When the next message may be tried.';
comment on column rowbell.circuit.probe_message_id is 'The message that is being tried, or was last.';
comment on column rowbell.circuit.closed_at is 'Since when it sends again; null while it is stopped.';
comment on column rowbell.circuit.opened_count is 'How often it was stopped in all.';
comment on column rowbell.circuit.updated_at is 'When this row was last written.';


-- Stopped by a person, until a person lets it go on.
create table rowbell.pause (
    kind       text not null,
    name       text not null,
    since      timestamptz not null default now(),
    reason     text,
    paused_by  text not null default session_user,

    primary key (kind, name),
    constraint kind_is_channel_or_watch check (kind in ('channel', 'watch'))
);
comment on table  rowbell.pause is 'Channels and watches that a person has paused. Changes are captured all the same, and their messages wait.';
comment on column rowbell.pause.kind is 'channel or watch.';
comment on column rowbell.pause.name is 'Its name, as in the configuration.';
comment on column rowbell.pause.since is 'Since when.';
comment on column rowbell.pause.reason is 'Why, in words.';
comment on column rowbell.pause.paused_by is 'Database user who paused it.';


-- Messages that wait for a person because too many entities of a watch changed at once.
create table rowbell.hold (
    hold_id         bigint generated always as identity primary key,
    watch           text not null,
    -- The transaction that changed too many entities; null: too many within a minute.
    transaction_id  bigint,
    reason          text not null,
    began_at        timestamptz not null,
    last_joined_at  timestamptz not null,
    message_count   bigint not null default 0,

    constraint messages_are_counted check (message_count >= 0)
);
comment on table  rowbell.hold is 'Storms: too many entities of a watch changed at once, and their messages were held for a person to decide.';
comment on column rowbell.hold.hold_id is 'Key.';
comment on column rowbell.hold.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell.hold.transaction_id is 'The business transaction that changed too many entities; null when too many changed within a minute.';
comment on column rowbell.hold.reason is 'What happened, in words.';
comment on column rowbell.hold.began_at is 'When the storm was noticed.';
comment on column rowbell.hold.last_joined_at is 'When the last message joined it.';
comment on column rowbell.hold.message_count is 'Messages held by it in all, whatever became of them.';

alter table rowbell.queue
    add column hold_id bigint,
    add constraint hold_only_while_held check (hold_id is null or state = 'held');
comment on column rowbell.queue.hold_id is 'The storm that holds it; see rowbell.hold.';

-- What held, approve and discard ask: which messages does this hold have?
create index queue_held_idx on rowbell.queue (watch, hold_id, message_id) where state = 'held';
