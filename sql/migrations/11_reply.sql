-- 11_reply: what customers answer to messages.

create type rowbell.reply_kind as enum (
    'text',      -- words
    'button',    -- a button or an item of a list was tapped
    'reaction',  -- an emoji
    'other'      -- a picture, a voice message and the like: that it came is kept, and nothing of it
);
comment on type rowbell.reply_kind is 'How a customer answered. other: a picture, a voice message and the like, of which nothing is kept.';

-- Only what quotes a message of ours. One that is not joined yet is kept for an hour: its message may not know its id.
create table rowbell.reply (
    reply_id           bigint generated always as identity primary key,
    channel            text collate "C" not null,
    provider_reply_id  text collate "C" not null,
    context_id         text collate "C" not null,
    message_id         bigint,

    kind               rowbell.reply_kind not null,
    phone              text collate "C",
    body               text,
    payload            text,
    written_at         timestamptz,
    received_at        timestamptz not null default now(),

    constraint each_reply_once unique (channel, provider_reply_id)
);
create index reply_of_message_idx on rowbell.reply (message_id);
create index reply_not_joined_idx on rowbell.reply (context_id) where message_id is null;

comment on table  rowbell.reply is 'What customers answered to messages: words, buttons, reactions. Nothing is answered to it.';
comment on column rowbell.reply.reply_id is 'Order in which they came in.';
comment on column rowbell.reply.channel is 'The channel; empty where the provider did not say.';
comment on column rowbell.reply.provider_reply_id is 'Its id at the provider.';
comment on column rowbell.reply.context_id is 'Id at the provider of the message that it answers.';
comment on column rowbell.reply.message_id is 'That message; null until it knows its id.';
comment on column rowbell.reply.kind is 'text, button, reaction or other.';
comment on column rowbell.reply.phone is 'Who answered: international digits without plus sign; null once it is redacted.';
comment on column rowbell.reply.body is 'The words, or what stands on the button; null once it is redacted.';
comment on column rowbell.reply.payload is 'What the button carries; null for other kinds, and once it is redacted.';
comment on column rowbell.reply.written_at is 'When it was written, as the provider says.';
comment on column rowbell.reply.received_at is 'When it came in.';

create function rowbell.note_reply() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $note$
begin
    insert into rowbell.outcome_call (message_id, watch, place, state, reply_id)
    select m.message_id, m.watch, h.place, h.state, new.reply_id
      from rowbell.message as m
      join rowbell.outcome_hook as h on h.watch = m.watch and h.state = 'replied'
     where m.message_id = new.message_id
     order by h.place;
    insert into rowbell.outgoing_delivery (endpoint, message_id, watch, outcome, reply_id)
    select w.endpoint, m.message_id, m.watch, 'replied', new.reply_id
      from rowbell.message as m
      join rowbell.outgoing_webhook as w on 'replied' = any (w.outcomes) and (w.watches is null or m.watch = any (w.watches))
     where m.message_id = new.message_id;
    return null;
end
$note$;
comment on function rowbell.note_reply() is 'Notes that a reply was joined to a message which a hook or an endpoint wants to be told.';

create trigger note_new_reply after insert on rowbell.reply for each row
  when (current_setting('rowbell.outcomes', true) = 'on' and new.message_id is not null)
  execute function rowbell.note_reply();
create trigger note_reply after update of message_id on rowbell.reply for each row
  when (current_setting('rowbell.outcomes', true) = 'on' and old.message_id is null and new.message_id is not null)
  execute function rowbell.note_reply();
alter table rowbell.reply enable always trigger note_new_reply;
alter table rowbell.reply enable always trigger note_reply;


create view rowbell_report.replies as
select r.reply_id, r.message_id, m.watch, m.entity_key, r.channel, r.kind::text as kind, r.body, r.payload,
       r.written_at, r.received_at
  from rowbell.reply as r
  join rowbell.message as m using (message_id);

comment on view   rowbell_report.replies is 'What customers answered to messages: order by reply_id. Fast when filtered by message_id.';
comment on column rowbell_report.replies.reply_id is 'Order in which they came in.';
comment on column rowbell_report.replies.message_id is 'The message that is answered.';
comment on column rowbell_report.replies.watch is 'Its watch.';
comment on column rowbell_report.replies.entity_key is 'The row that it tells of.';
comment on column rowbell_report.replies.channel is 'The channel.';
comment on column rowbell_report.replies.kind is 'text, button, reaction, or other (a picture and the like, of which nothing is kept).';
comment on column rowbell_report.replies.body is 'The words, or what stands on the button; null after retention and forget.';
comment on column rowbell_report.replies.payload is 'What the button carries.';
comment on column rowbell_report.replies.written_at is 'When it was written, as the provider says.';
comment on column rowbell_report.replies.received_at is 'When it came in.';
