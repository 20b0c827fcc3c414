-- 12_alert: what an operator is told about the installation itself.

create type rowbell.alert_kind as enum (
    'storm_held',         -- messages wait for a person
    'channel_stopped',    -- errors have stopped a channel
    'template_rejected',  -- errors have stopped a template
    'queue_late',         -- messages leave too late
    'no_receipts',        -- nothing tells what becomes of messages
    'endpoint_stopped'    -- an endpoint of the application takes no outcomes
);
comment on type rowbell.alert_kind is 'What needs a person.';

-- One row for each time that something began to need a person.
create table rowbell.alert (
    alert_id      bigint generated always as identity primary key,
    kind          rowbell.alert_kind not null,
    subject       text not null,
    what          text not null,
    began_at      timestamptz not null,
    told_at       timestamptz,
    -- Since when it is not so any more, and since when that counts as its end.
    absent_since  timestamptz,
    over_at       timestamptz,
    over_told_at  timestamptz,
    -- Until then some daemon is telling it, or will not try again.
    busy_until    timestamptz,
    attempt_count integer not null default 0,

    constraint over_only_once_absent check (over_at is null or absent_since is not null),
    constraint end_told_only_after_begin check (over_told_at is null or (told_at is not null and over_at is not null))
);
create unique index alert_open_idx on rowbell.alert (kind, subject) where over_at is null;

comment on table  rowbell.alert is 'What needed a person, and whether the operator was told that it began, and that it is over.';
comment on column rowbell.alert.alert_id is 'Key.';
comment on column rowbell.alert.kind is 'What needs a person.';
comment on column rowbell.alert.subject is 'What it is about, such as a channel.';
comment on column rowbell.alert.what is 'The same in words, as they were when it began.';
comment on column rowbell.alert.began_at is 'When it was seen first.';
comment on column rowbell.alert.told_at is 'When the operator was told.';
comment on column rowbell.alert.absent_since is 'Since when it is not so any more; null while it is.';
comment on column rowbell.alert.over_at is 'When that had lasted long enough to count as its end.';
comment on column rowbell.alert.over_told_at is 'When the operator was told that.';
comment on column rowbell.alert.busy_until is 'Until then nobody else tells it.';
comment on column rowbell.alert.attempt_count is 'How often it was tried to tell it.';

create view rowbell_report.alerts as
select a.alert_id, a.kind::text as kind, a.subject, a.what, a.began_at, a.told_at, a.over_at, a.over_told_at
  from rowbell.alert as a;

comment on view   rowbell_report.alerts is 'What needed a person, and when the operator was told: order by alert_id.';
comment on column rowbell_report.alerts.alert_id is 'Order in which they began.';
comment on column rowbell_report.alerts.kind is 'storm_held, channel_stopped, template_rejected, queue_late, no_receipts or endpoint_stopped.';
comment on column rowbell_report.alerts.subject is 'What it is about.';
comment on column rowbell_report.alerts.what is 'The same in words.';
comment on column rowbell_report.alerts.began_at is 'When it was seen first.';
comment on column rowbell_report.alerts.told_at is 'When the operator was told; null: not yet, or it was over before.';
comment on column rowbell_report.alerts.over_at is 'When it was over; null while it is so.';
comment on column rowbell_report.alerts.over_told_at is 'When the operator was told that.';
