-- 04_attempt: tries to send, and the evidence of what became of them.

create type rowbell.attempt_result as enum (
    'accepted',  -- the provider took it and gave an id
    'refused',   -- the provider answered that it did not take it
    'not_sent',  -- it was given back before the request
    'unreached', -- the provider could not be reached, so it does not have it
    'unknown',   -- the provider may have it: timeout, connection lost, gateway error, daemon died
    'dry_run'    -- it was recorded instead of posted
);
comment on type rowbell.attempt_result is 'What is known of one try. Accepted is not delivered. dry_run: it was recorded instead of posted.';

create type rowbell.attempt_error_class as enum (
    'retry',      -- try again, later and later
    'slow',       -- shrink the rate, then try again
    'recipient',  -- give up on this recipient for this message
    'content',    -- this message is wrong
    'template',   -- stop this template
    'channel',    -- stop this channel
    'later'       -- try again after hours
);
comment on type rowbell.attempt_error_class is 'What rowbell makes of an error.';


-- One HTTP try. The row is written before the request and completed after it, so that a crash in
-- between leaves a trace.
create table rowbell.attempt (
    message_id           bigint not null,
    number               smallint not null,

    result               rowbell.attempt_result,
    started_at           timestamptz not null,
    finished_at          timestamptz,

    http_status          smallint,
    error_class          rowbell.attempt_error_class,
    error_code           integer,
    error_text           text,
    provider_message_id  text collate "C",
    response             text,

    -- The words of an attempt that another one followed in other words; those of the last stand with the message.
    template             text collate "C",
    language             text collate "C",
    parameters           jsonb,

    -- Of a digest: the attempt whose request said the words of this one too. What became of that one became of this one.
    carried_by           bigint,
    carried_number       smallint,

    primary key (message_id, number),
    constraint attempts_start_at_1 check (number >= 1),
    constraint result_iff_finished check ((result is null) = (finished_at is null)),
    constraint id_iff_accepted check (result is null or result <> 'accepted' or provider_message_id is not null),
    constraint carried_by_one_attempt check ((carried_by is null) = (carried_number is null))
)
with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000);

-- What receive asks: whose id is this? Nobody asks for ids in an order, and they come in none: a hash costs less to keep.
create index attempt_provider_id_idx on rowbell.attempt using hash (provider_message_id) where provider_message_id is not null;

-- What settle asks of a request that said several messages: which? Few attempts are carried, and the others stand in no
-- entry.
create index attempt_carried_idx on rowbell.attempt (carried_by, carried_number) where carried_by is not null;

-- What the new holder of a channel's lease asks: what was sent lately? Attempts are added in the order of time and
-- their start never changes, so a summary of the table's pages is enough, and costs those who send next to nothing.
create index attempt_started_idx on rowbell.attempt using brin (started_at) with (pages_per_range = 32);

comment on table  rowbell.attempt is 'One try to send a message: written before the request, completed after it.';
comment on column rowbell.attempt.message_id is 'The message.';
comment on column rowbell.attempt.number is '1 for the first try.';
comment on column rowbell.attempt.result is 'accepted, refused, not_sent, unreached, unknown or dry_run; null while the request is under way.';
comment on column rowbell.attempt.started_at is 'When the right to send was taken, before the request.';
comment on column rowbell.attempt.finished_at is 'When the answer was stored.';
comment on column rowbell.attempt.http_status is 'HTTP status of the answer, if one came; null for mail.';
comment on column rowbell.attempt.error_class is 'What rowbell made of the error: retry, slow, recipient, content, template, channel or later.';
comment on column rowbell.attempt.error_code is 'Error code of WhatsApp, where the answer carried one.';
comment on column rowbell.attempt.error_text is 'Error text of the provider, bounded; secrets are redacted.';
comment on column rowbell.attempt.provider_message_id is 'Id that the provider gave.';
comment on column rowbell.attempt.template is 'The template that it said, where a later attempt was put into other words; null otherwise: the message has them.';
comment on column rowbell.attempt.language is 'Language code of that template.';
comment on column rowbell.attempt.parameters is 'The body variables that it said: a JSON array of texts; empty once the message is redacted.';
comment on column rowbell.attempt.carried_by is 'Of a digest: the message whose request said the words of this one too; null: it had a request of its own.';
comment on column rowbell.attempt.carried_number is 'The number of that message''s attempt.';
comment on column rowbell.attempt.response is 'The answer as it came when it was not a plain acceptance, bounded; secrets are redacted.';


create type rowbell.receipt_status as enum ('sent', 'failed', 'delivered', 'read', 'other');
comment on type rowbell.receipt_status is 'What a receipt says. In this order the later outranks the earlier; other says nothing.';

create type rowbell.evidence_source as enum ('webhook', 'poll', 'timeout');
comment on type rowbell.evidence_source is 'How the evidence reached us.';

-- Append-only evidence. May arrive before the message knows its id: it is joined later.
create table rowbell.receipt (
    receipt_id           bigint generated always as identity primary key,
    channel              text collate "C" not null,
    provider_message_id  text collate "C" not null,
    recipient_phone      text collate "C",

    status               rowbell.receipt_status not null,
    source               rowbell.evidence_source not null,
    occurred_at          timestamptz,
    received_at          timestamptz not null default now(),

    error_code           integer,
    error_title          text,
    error_text           text,
    price_category       text,
    pricing_model        text,
    is_billable          boolean,
    raw                  text,
    repeats              integer not null default 0
);

create index receipt_of_provider_id_idx on rowbell.receipt using hash (provider_message_id);

comment on table  rowbell.receipt is 'Evidence about delivery, as it came. What it says is never changed, its texts are redacted with time; may arrive late, doubled, out of order, or before the message knows its id.';
comment on column rowbell.receipt.receipt_id is 'Order of arrival.';
comment on column rowbell.receipt.channel is 'The channel it came in on.';
comment on column rowbell.receipt.provider_message_id is 'Id of the message at the provider.';
comment on column rowbell.receipt.recipient_phone is 'Digits of the phone that the provider named, which may differ from the phone that was written to; null when it named none.';
comment on column rowbell.receipt.status is 'sent, failed, delivered, read, or other.';
comment on column rowbell.receipt.source is 'webhook, poll or timeout.';
comment on column rowbell.receipt.occurred_at is 'When it happened, as the provider says; null when it does not say.';
comment on column rowbell.receipt.received_at is 'When we stored it.';
comment on column rowbell.receipt.error_code is 'Error code of WhatsApp, for failed.';
comment on column rowbell.receipt.error_title is 'Title of the error, for failed; null when the provider gave none.';
comment on column rowbell.receipt.error_text is 'Error text, for failed, bounded.';
comment on column rowbell.receipt.price_category is 'Under which category of prices WhatsApp counts the message, such as utility; null when the receipt does not say it.';
comment on column rowbell.receipt.pricing_model is 'By what WhatsApp charges: PMP (each message) or CBP (conversations); null when the receipt does not say it.';
comment on column rowbell.receipt.is_billable is 'Whether WhatsApp charges for the message; null when the receipt does not say it.';
comment on column rowbell.receipt.raw is 'The item as it came, bounded.';
comment on column rowbell.receipt.repeats is 'How often the provider posted the same again.';
