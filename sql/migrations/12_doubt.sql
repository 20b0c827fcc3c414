-- 12_doubt: requests whose answer is not known, and the evidence that is sought about them.

-- An attempt whose request the provider may have. Small: deleted when the matter is settled, or when
-- the policy of the watch is about to decide.
create table rowbell.doubt (
    message_id   bigint not null,
    number       smallint not null,
    channel      text not null,
    template     text not null,
    phone        text not null,
    phone_key    text not null,
    started_at   timestamptz not null,
    decide_at    timestamptz not null,
    next_at      timestamptz not null,
    asked_count  integer not null default 0,

    primary key (message_id, number),
    constraint questions_are_counted check (asked_count >= 0)
);
create index doubt_due_idx on rowbell.doubt (channel, next_at);
comment on table  rowbell.doubt is 'Attempts that the provider may have taken, while evidence is sought. A row is deleted when the matter is settled.';
comment on column rowbell.doubt.message_id is 'The message.';
comment on column rowbell.doubt.number is 'The attempt.';
comment on column rowbell.doubt.channel is 'The channel that it was tried on.';
comment on column rowbell.doubt.template is 'The template that it was sent as, by its name at the provider.';
comment on column rowbell.doubt.phone is 'The phone that it was written to: international digits without plus sign.';
comment on column rowbell.doubt.phone_key is 'The same in the form in which phones are compared: the provider may write it another way.';
comment on column rowbell.doubt.started_at is 'When the attempt was begun.';
comment on column rowbell.doubt.decide_at is 'When the policy of the watch decides.';
comment on column rowbell.doubt.next_at is 'When to look for evidence next.';
comment on column rowbell.doubt.asked_count is 'How often it was looked for.';


-- Ids that the provider told of and that no attempt knew then: perhaps of a request whose answer was lost.
create table rowbell.stray (
    provider_message_id  text primary key,
    channel              text not null,
    phone_key            text not null,
    happened_at          timestamptz not null,
    received_at          timestamptz not null
);
create index stray_of_phone_idx on rowbell.stray (channel, phone_key);
create index stray_age_idx on rowbell.stray (received_at);
comment on table  rowbell.stray is 'Ids that receipts named and that no attempt knew when they came. Kept for a day.';
comment on column rowbell.stray.provider_message_id is 'Id of a message at the provider.';
comment on column rowbell.stray.channel is 'The channel it came in on.';
comment on column rowbell.stray.phone_key is 'The phone that it named, in the form in which phones are compared; empty when it named none.';
comment on column rowbell.stray.happened_at is 'When it happened, as the provider says; when it came, where it does not say.';
comment on column rowbell.stray.received_at is 'When it came first.';


-- Each step of seeking evidence. Append-only.
create table rowbell.inquiry (
    inquiry_id           bigint generated always as identity primary key,
    message_id           bigint not null,
    number               smallint not null,
    asked_at             timestamptz not null,
    way                  text not null,
    found                text not null,
    provider_message_id  text,

    constraint way_is_receipts_list_or_policy check (way in ('receipts', 'list', 'policy'))
);
create index inquiry_of_message_idx on rowbell.inquiry (message_id, inquiry_id);
comment on table  rowbell.inquiry is 'What was done to find out whether the provider has a message, step by step.';
comment on column rowbell.inquiry.inquiry_id is 'Order of the steps.';
comment on column rowbell.inquiry.message_id is 'The message.';
comment on column rowbell.inquiry.number is 'The attempt in doubt.';
comment on column rowbell.inquiry.asked_at is 'When.';
comment on column rowbell.inquiry.way is 'receipts: those of ids that no attempt knows. list: the list of messages at the provider. policy: of the watch.';
comment on column rowbell.inquiry.found is 'What came of it, in words. Holds no personal data.';
comment on column rowbell.inquiry.provider_message_id is 'Id of the message at the provider, where it was found.';


create view rowbell_report.inquiries as
select i.inquiry_id,
       i.message_id,
       m.watch,
       m.entity_key,
       m.channel,
       m.state::text as state,
       i.number::integer as attempt_number,
       i.asked_at,
       i.way,
       i.found,
       i.provider_message_id
  from rowbell.inquiry as i
  join rowbell.message as m using (message_id);
comment on view   rowbell_report.inquiries is 'Messages whose request was not answered: each step of finding out whether the provider has them. Order by inquiry_id.';
comment on column rowbell_report.inquiries.inquiry_id is 'Order of the steps.';
comment on column rowbell_report.inquiries.message_id is 'The message.';
comment on column rowbell_report.inquiries.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.inquiries.entity_key is 'Primary key of the watched row, as text.';
comment on column rowbell_report.inquiries.channel is 'The channel that it was tried on.';
comment on column rowbell_report.inquiries.state is 'Where the message stands now.';
comment on column rowbell_report.inquiries.attempt_number is 'The attempt in doubt.';
comment on column rowbell_report.inquiries.asked_at is 'When the step was taken.';
comment on column rowbell_report.inquiries.way is 'receipts: of ids that no attempt knows. list: the list of messages at the provider. policy: of the watch.';
comment on column rowbell_report.inquiries.found is 'What came of it, in words.';
comment on column rowbell_report.inquiries.provider_message_id is 'Id of the message at the provider, where it was found.';
