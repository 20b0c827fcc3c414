-- 08_person_act: what people decided, and whose name and phone they asked to see.

create type rowbell.person_act_kind as enum (
    'approved',    -- held messages leave
    'discarded',   -- held messages end
    'arrived',     -- an unconfirmed message counts as delivered
    'give_up',     -- an unconfirmed message ends as failed
    'send_again',  -- an unconfirmed message is sent again
    'retried',     -- a message that had failed, was skipped or unconfirmed is sent again
    'caught_up',   -- what was never captured is held, to be decided about
    'shown',       -- the name and the phone of a message were shown
    'paused',      -- a channel or a watch waits
    'resumed',     -- a channel or a watch goes on
    'moved',       -- a channel was given to another daemon
    'adopted',     -- this database sends, although it is a copy
    'forgotten'    -- the personal data of somebody were removed
);
comment on type rowbell.person_act_kind is
    'What a person did. approved, discarded: held messages. arrived, give_up, send_again: an unconfirmed message. retried: a message is sent again. caught_up: what was never captured is held. shown: name and phone of a message were asked for. paused, resumed: a channel or a watch. moved: a channel, to another daemon. adopted: this database. forgotten: the personal data of somebody, who is not named here.';

create type rowbell.person_act_way as enum (
    'page',    -- on the page for people
    'command'  -- with a command
);
comment on type rowbell.person_act_way is 'How a person did it: on the page for people, or with a command.';

-- Append-only.
create table rowbell.person_act (
    act_id      bigint generated always as identity primary key,
    acted_at    timestamptz not null default now(),
    decided_by  text not null,
    os_user     text,
    way         rowbell.person_act_way not null,
    kind        rowbell.person_act_kind not null,

    watch       text collate "C",
    channel     text collate "C",
    hold_id     bigint,
    message_id  bigint,
    messages    bigint not null,
    reason      text,

    constraint named_subject check (
        case when kind in ('paused', 'resumed') then num_nonnulls(watch, channel) = 1 and num_nonnulls(hold_id, message_id) = 0
             when kind = 'moved' then channel is not null and num_nonnulls(watch, hold_id, message_id) = 0
             when kind in ('adopted', 'forgotten') then num_nonnulls(watch, channel, hold_id, message_id) = 0
             else watch is not null and channel is null and num_nonnulls(hold_id, message_id) = 1
        end
    )
);
create index person_act_of_message_idx on rowbell.person_act (message_id) where message_id is not null;

comment on table  rowbell.person_act is 'What people decided, and whose name and phone they asked to see, as they said who they are.';
comment on column rowbell.person_act.act_id is 'Key.';
comment on column rowbell.person_act.acted_at is 'When.';
comment on column rowbell.person_act.decided_by is 'Who: the name of a login of the page, or the user of the database for commands.';
comment on column rowbell.person_act.os_user is 'Who typed the command: the user of the operating system, before sudo.';
comment on column rowbell.person_act.way is 'How: on the page, or with a command.';
comment on column rowbell.person_act.kind is 'What was done.';
comment on column rowbell.person_act.watch is 'The watch of the messages, or the one that was paused or resumed; null where it was about something else.';
comment on column rowbell.person_act.channel is 'The channel that was paused, resumed or moved; null where it was about something else.';
comment on column rowbell.person_act.hold_id is 'The hold whose messages it was about.';
comment on column rowbell.person_act.message_id is 'The message that it was about.';
comment on column rowbell.person_act.messages is 'How many messages it moved or showed.';
comment on column rowbell.person_act.reason is 'Why, as the person wrote it.';


create view rowbell_report.person_acts as
select a.act_id, a.acted_at, a.decided_by, a.kind::text as kind, a.watch, a.hold_id, a.message_id, a.messages, a.reason,
       a.os_user, a.way::text as way, a.channel
  from rowbell.person_act as a;

comment on view   rowbell_report.person_acts is 'What people decided, and whose name and phone they asked to see: order by act_id. Fast when filtered by message_id.';
comment on column rowbell_report.person_acts.act_id is 'Order in which they were recorded.';
comment on column rowbell_report.person_acts.acted_at is 'When.';
comment on column rowbell_report.person_acts.decided_by is 'Who: the name that a person gave to the page, or the database user of a command.';
comment on column rowbell_report.person_acts.kind is 'approved or discarded (held messages); arrived, give_up or send_again (an unconfirmed message); retried: a message is sent again; caught_up: what was never captured is held; shown: name and phone were asked for; paused or resumed (a channel or a watch); moved: a channel was given to another daemon; adopted: this database sends, although it is a copy; forgotten: the personal data of somebody were removed.';
comment on column rowbell_report.person_acts.watch is 'Name of the watch, as in the configuration; null where it was about something else.';
comment on column rowbell_report.person_acts.hold_id is 'The hold whose messages it was about; null where it was about something else.';
comment on column rowbell_report.person_acts.message_id is 'The message that it was about; null where it was about something else.';
comment on column rowbell_report.person_acts.messages is 'How many messages it moved or showed.';
comment on column rowbell_report.person_acts.reason is 'Why, as the person wrote it.';
comment on column rowbell_report.person_acts.os_user is 'Who typed the command: the user of the operating system, before sudo; null on the page, or where it is not known.';
comment on column rowbell_report.person_acts.way is 'How: page or command.';
comment on column rowbell_report.person_acts.channel is 'The channel that was paused, resumed or moved; null where it was about something else.';
