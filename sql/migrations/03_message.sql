-- 03_message: messages, what recipients know, the queue of what still has to leave, and where it goes if it does not arrive.

create type rowbell.message_state as enum (
    'waiting',      -- changes are still being folded into it; due_at says when it leaves
    'scheduled',    -- due at due_at: rate limit, quiet hours, retry
    'held',         -- waits for a person to decide about a storm
    'sending',      -- leased; an attempt row exists
    'unconfirmed',  -- the provider may have it; waiting for evidence
    'sent',         -- accepted by the provider, message id stored
    'delivered',    -- receipt: it reached the device
    'read',         -- receipt: it was opened
    'failed',       -- it did not reach the customer; reason says why
    'skipped'       -- it was not meant to leave; reason says why
);
comment on type rowbell.message_state is 'Where a message stands. rowbell moves it; see the comments of rowbell.message.';

create type rowbell.message_reason as enum (
    -- failed
    'rejected',        -- the provider refused this message for good
    'undeliverable',   -- this recipient cannot be reached on this channel
    'exhausted',       -- every attempt failed with a passing fault
    'expired',         -- it was too late before an attempt succeeded
    'unwritable',      -- the words could not be made: a template or the recipient query failed
    -- skipped
    'no_net_change',   -- what the customer was last told is still true
    'silenced',        -- a rule of the watch, or its handover, says nothing about it: counts as told
    'opted_out',       -- the recipient does not want messages
    'no_recipient',    -- the recipient query found nobody
    'bad_phone',       -- the phone is missing or not a valid number
    'bad_email',       -- the channel needs a mail address, and it is missing or not valid
    'muted',           -- the transaction was muted: counts as told
    'superseded',      -- a newer message of the same entity says it instead
    'stale',           -- expires_at of the watch had passed
    'discarded',       -- a person withdrew it
    'not_needed',      -- a fallback whose first message arrived after all
    'dry_run',         -- it went all the way and was recorded instead of sent; counts as told to nobody
    'outside_only_to'  -- installation.only_to does not name the recipient; counts as told to nobody
);
comment on type rowbell.message_reason is
    'Why a message failed or was skipped. silenced: a rule of the watch, or its handover, says nothing about it. bad_email: the channel needs a mail address, and it is missing or not valid. not_needed: a fallback whose first message arrived after all. dry_run: recorded instead of sent. outside_only_to: installation.only_to does not name the recipient.';

create type rowbell.message_waits_for as enum (
    -- a gate put it off, and asks again when it is due
    'order',                -- an earlier message of the entity is being sent
    'quiet_hours',          -- it is night where the recipient lives
    'circuit',              -- errors have stopped its template: see waits_for_template
    'per_recipient_limit',  -- its phone was written to too often just now
    'unique_recipients',    -- its channel has written to as many phones as it may within a day
    'unconfirmed_attempt',  -- the provider may have an earlier message to the same phone
    'watch',                -- its watch cannot be used, or its row could not be read in time
    -- an attempt was in vain
    'retry',                -- it is tried again
    'burst_retry',          -- it was refused in the burst of errors that stopped its channel or template
    -- a person has to decide
    'hold'                  -- too many entities of its watch changed at once: see rowbell.queue.hold_id
);
comment on type rowbell.message_waits_for is 'What keeps a message that still has to leave, besides the quiet period of its watch.';


create type rowbell.message_operation as enum (
    'insert',
    'update',
    'delete',
    'withdrawn'  -- the row went over to somebody else; its recipient is told that it is no longer theirs
);
comment on type rowbell.message_operation is 'What the recipient is told: the row is new to them, differs from what they know, is gone, or is no longer theirs.';


-- One net change of one entity for one recipient, from the first change to the last receipt.
--
-- Written a few times in its life, and there is no index on what changes, but for the phone that comes with the words; so
-- updates stay on the page (HOT): hence the fill factor, and hence no index on state.
create table rowbell.message (
    message_id           bigint generated always as identity primary key,
    watch                text collate "C" not null,
    entity_key           text collate "C" not null,
    -- Who is told. Null until the recipient query was asked: a message is opened for all recipients of its
    -- entity, and where there are several, each of them gets one of their own when it is put into words.
    recipient_key        text collate "C",
    is_for_all           boolean not null default true,
    was_set_aside        boolean not null default false,
    fallback_of          bigint,

    state                rowbell.message_state not null,
    reason               rowbell.message_reason,
    reason_text          text,

    -- What it waited for when that was last checked; of the circuit of a template, which one.
    waits_for            rowbell.message_waits_for,
    waits_for_template   text collate "C",
    waits_for_language   text collate "C",

    -- What happened.
    operation            rowbell.message_operation not null,
    change_count         integer not null default 1,
    first_changed_at     timestamptz not null,
    last_changed_at      timestamptz not null,
    old_row              jsonb,
    new_row              jsonb,
    changed_by           text[] not null default '{}',

    -- The recipient and the words. Null until the words are made.
    channel              text collate "C" not null,
    template             text collate "C",
    language             text collate "C",
    recipient_name       text,
    recipient_phone      text collate "C",
    recipient_country    text,
    recipient_locale     text,
    recipient_time_zone  text,
    time_zone_source     text,
    in_quiet_hours       boolean not null default false,
    summary              text,
    parameters           jsonb,

    -- When and how often.
    due_at               timestamptz,
    attempt_count        smallint not null default 0,
    provider_message_id  text collate "C",
    confirmed_by         text,
    sent_at              timestamptz,
    delivered_at         timestamptz,
    read_at              timestamptz,
    finished_at          timestamptz,
    redacted_at          timestamptz,

    created_at           timestamptz not null default now(),
    updated_at           timestamptz not null default now(),
    updated_by           text not null,

    constraint reason_iff_failed_or_skipped
        check ((reason is not null) = (state in ('failed', 'skipped'))),
    constraint waits_only_while_it_has_to_leave
        check (waits_for is null or state in ('waiting', 'scheduled', 'held')),
    constraint waits_for_a_template_only_as_circuit
        check ((waits_for_template is null) = (waits_for_language is null)
               and (waits_for_template is null or waits_for in ('circuit', 'burst_retry'))),
    constraint due_at_iff_it_still_has_to_leave
        check ((due_at is not null) = (state in ('waiting', 'scheduled', 'held'))),
    constraint provider_id_once_accepted
        check (provider_message_id is not null or confirmed_by is not null or state not in ('sent', 'delivered', 'read')),
    constraint sent_at_iff_accepted
        check ((sent_at is not null) = (provider_message_id is not null or confirmed_by is not null)),
    constraint words_before_sending
        check (parameters is not null or state not in ('sending', 'unconfirmed', 'sent', 'delivered', 'read')),
    constraint changes_are_counted
        check (change_count >= 1 and attempt_count >= 0),
    constraint first_change_not_after_last
        check (first_changed_at <= last_changed_at)
)
with (
    -- A message that leaves is written again on the page where it lies: half of each page is left for that. With less
    -- room, in a burst three of four went to another page, with a new entry in every index and all of it in the log.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 20000
);

-- What compose and explain ask: what happened to this entity, latest last?
create index message_of_entity_idx on rowbell.message (watch, entity_key, message_id);

-- What a receipt asks that came late: who stands in for this message?
create index message_fallback_idx on rowbell.message (fallback_of) where fallback_of is not null;

-- What support and the page ask: what was this phone told? The phone comes with the words, once; where a message was opened
-- before, that update leaves the page. One phone has few messages: a hash finds them, and costs a third of what a B-tree
-- does to keep (measured beside each other: 0 to 2 against 5 µs a message).
create index message_phone_idx on rowbell.message using hash (recipient_phone) where recipient_phone is not null;

-- The first message that was opened since a moment; all from it on are since then. There is no index on time, and the
-- history may be long. But ids rise with time, so it is found by halving: some thirty look-ups in the primary key.
-- Clocks of several daemons differ a little, so ids rise with time only almost: whoever counts compares created_at too.
create function rowbell.first_message_since(moment timestamptz) returns bigint
language sql stable
as $$
    with recursive search (low, high) as (
        -- The first message since the moment has an id of at least low; all from high on are since then.
        select coalesce(min(m.message_id), 0), coalesce(max(m.message_id), 0) + 1
          from rowbell.message as m
        union all
        select case when probe.created_at >= moment then s.low else probe.message_id + 1 end,
               case when probe.created_at >= moment then (s.low + s.high) / 2 else s.high end
          from search as s
         cross join lateral (
               select m.message_id, m.created_at
                 from rowbell.message as m
                where m.message_id >= (s.low + s.high) / 2
                order by m.message_id
                limit 1
         ) as probe
         where s.low < s.high
    )
    select min(high) from search
$$;
comment on function rowbell.first_message_since(timestamptz) is 'The id of the first message that was opened since a moment; without one, an id beyond the last.';

comment on table  rowbell.message is 'One net change of one entity for one recipient, from the first change to the last receipt.';
comment on column rowbell.message.message_id is 'Key. Rises with the time at which the message was opened.';
comment on column rowbell.message.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell.message.entity_key is 'Primary key of the watched row, as text; see rowbell.change.entity_key.';
comment on column rowbell.message.recipient_key is 'Who is told: recipient_key of the recipient query, or else the phone, or else the mail address. Null until it is known.';
comment on column rowbell.message.is_for_all is 'True: it tells whoever the recipients are when it leaves, and takes in later changes until then. False: it is for one of several.';
comment on column rowbell.message.was_set_aside is 'True: it tells of a large transaction that was set aside and left in its own turn. It counts for no storm.';
comment on column rowbell.message.fallback_of is 'The message that this one stands in for on another channel: the first of its chain. Null for a message that stands for itself.';
comment on column rowbell.message.state is 'waiting, scheduled, held, sending, unconfirmed, sent, delivered, read, failed or skipped.';
comment on column rowbell.message.reason is 'Why it failed or was skipped; null in every other state.';
comment on column rowbell.message.reason_text is 'The same in words, with the details at hand. Holds no personal data.';
comment on column rowbell.message.waits_for is 'What kept it from leaving, besides the quiet period of its watch, when rowbell last checked; null when nothing did, and in states that do not wait.';
comment on column rowbell.message.waits_for_template is 'Name of the template at the provider whose circuit it waits for; null when it waits for something else, or for its channel as a whole.';
comment on column rowbell.message.waits_for_language is 'Language code of that template.';
comment on column rowbell.message.operation is 'Net operation: insert, update or delete; withdrawn: the row is no longer theirs.';
comment on column rowbell.message.change_count is 'How many captured changes were folded into this message.';
comment on column rowbell.message.first_changed_at is 'When the first of them was made.';
comment on column rowbell.message.last_changed_at is 'When the last of them was made.';
comment on column rowbell.message.old_row is 'Watched, key and recipient columns before the first change; null for an insert.';
comment on column rowbell.message.new_row is 'The same columns after the last change; once its words are made, the row that they tell. Null for a delete.';
comment on column rowbell.message.changed_by is 'Who made the changes, each once, at most ten: see rowbell.change.changed_by.';
comment on column rowbell.message.channel is 'The channel that sends it, as in the configuration.';
comment on column rowbell.message.template is 'The template that it was sent as, by its name at the provider.';
comment on column rowbell.message.language is 'Language code of the template.';
comment on column rowbell.message.recipient_name is 'Name of the recipient when the words were made.';
comment on column rowbell.message.recipient_phone is 'Phone of the recipient: international digits without plus sign; null when there is none and the channel needs none.';
comment on column rowbell.message.recipient_country is 'Country of that phone as two letters, such as US; null when there is none, or it is of no country.';
comment on column rowbell.message.recipient_locale is 'Locale in which dates and numbers were written, such as es-MX.';
comment on column rowbell.message.recipient_time_zone is 'Time zone in which times were written, such as America/Mexico_City.';
comment on column rowbell.message.time_zone_source is 'Where recipient_time_zone comes from: row, recipient, watch, configuration or nobody (then it is UTC); also which values were ignored because they name no time zone.';
comment on column rowbell.message.in_quiet_hours is 'True: its words were made within quiet hours of its recipient, because it was urgent then.';
comment on column rowbell.message.summary is 'What changed, in words.';
comment on column rowbell.message.parameters is 'The body variables of the template, in order: a JSON array of texts; empty once the message is redacted.';
comment on column rowbell.message.due_at is 'When it may leave; null once it is leaving or has left.';
comment on column rowbell.message.attempt_count is 'How many attempts were begun.';
comment on column rowbell.message.provider_message_id is 'Id that the provider gave; receipts are joined by it.';
comment on column rowbell.message.confirmed_by is 'Who said that it arrived, where no evidence came; null otherwise.';
comment on column rowbell.message.sent_at is 'When the provider accepted it. Accepted is not delivered. Where a person confirmed it, when its last attempt began.';
comment on column rowbell.message.delivered_at is 'When it reached the device, by the earliest receipt that says so; where a person confirmed it, when they did.';
comment on column rowbell.message.read_at is 'When it was opened.';
comment on column rowbell.message.finished_at is 'When it failed or was skipped.';
comment on column rowbell.message.redacted_at is 'When its personal data was removed: rows, recipient, words, and the texts of its attempts and receipts. From then on, a change is compared with the row before it, not with what the recipient was last told.';
comment on column rowbell.message.created_at is 'When the first change was folded into it.';
comment on column rowbell.message.updated_at is 'When this row was last written.';
comment on column rowbell.message.updated_by is 'Name of the query that last wrote it.';


create type rowbell.told_status as enum (
    'assumed',      -- known to those whom the recipient query names for it: nothing was told since
    'rehearsed',    -- a dry run recorded it: counts for other dry runs only
    'silenced',     -- a rule of the watch, or its handover, says nothing about it: counts as told
    'sending',      -- the request is being made
    'possible',     -- a request without an answer may have told it; another one was made, or none any more
    'unconfirmed',  -- a request without an answer may have told it; evidence is looked for
    'accepted',     -- the provider accepted it
    'arrived'       -- it reached the device, or was accepted by a channel of which no more is ever heard
);
comment on type rowbell.told_status is 'How sure it is that a recipient knows a row.';

-- The ledger of what people know: the rows that a recipient was told of an entity, or may have been told. The
-- latest that counts is what the next message is compared with; those after it may have been read instead.
--
-- Written with the lease of a message, before its request; what becomes of the request moves the status or takes
-- the row away. Read by key. Older rows of a recipient go when later ones have arrived.
create table rowbell.last_told (
    watch             text collate "C" not null,
    entity_key        text collate "C" not null,
    recipient_key     text collate "C" not null,
    message_id        bigint not null,
    attempt           smallint not null,

    first_message_id  bigint not null,
    status            rowbell.told_status not null,
    told_at           timestamptz not null,
    row               jsonb,

    primary key (watch, entity_key, recipient_key, message_id, attempt),
    constraint nobody_iff_assumed check ((recipient_key = '') = (status = 'assumed'))
)
-- Half of each page is left for the answer to the request, as in rowbell.message.
with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000);

comment on table  rowbell.last_told is 'What recipients know of the rows of the business: the rows that they were told, or may have been told.';
comment on column rowbell.last_told.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell.last_told.entity_key is 'Primary key of the watched row, as text; see rowbell.change.entity_key.';
comment on column rowbell.last_told.recipient_key is 'Who knows it; see rowbell.message.recipient_key. Empty (assumed): those whom the recipient query names for the row.';
comment on column rowbell.last_told.message_id is 'The message that told it; for assumed, the one that was to tell of a change to it and did not.';
comment on column rowbell.last_told.attempt is 'The attempt of that message; 0 where there was none.';
comment on column rowbell.last_told.first_message_id is 'The first message of its chain of fallbacks.';
comment on column rowbell.last_told.status is 'assumed, rehearsed, silenced, sending, possible, unconfirmed, accepted or arrived.';
comment on column rowbell.last_told.told_at is 'When the row was read that was told.';
comment on column rowbell.last_told.row is 'Watched, key and recipient columns as told, with changes that were muted since; null: told that it is gone, or no longer theirs.';


-- What somebody knows of a row once a muted change of it counts as told. See sql/queries/claim/claim_mute.sql.
create function rowbell.known_after_mute(known jsonb, changed jsonb, new_row jsonb, is_new boolean, is_handover boolean)
returns jsonb
language sql immutable
as $$
    select case when new_row is null then null
                when is_handover and known is not null then new_row
                when known is not null then known || changed
                when is_new then new_row
           end
$$;
comment on function rowbell.known_after_mute(jsonb, jsonb, jsonb, boolean, boolean) is
    'What somebody knows of a row once a muted change of it counts as told.';

create function rowbell.has_recipients(known jsonb, recipient_columns jsonb)
returns boolean
language sql immutable
as $$
    select known is null or recipient_columns is null
           or not exists (select from jsonb_each(recipient_columns) as r where known -> r.key is distinct from r.value);
$$;
comment on function rowbell.has_recipients(jsonb, jsonb) is
    'Whether a row belongs to those to whom other values of the columns of the recipient query belong.';


create type rowbell.queue_state as enum (
    'open',         -- may leave at due_at; later changes of the entity still fold into it
    'held',         -- waits for a person; later changes still fold into it
    'leased',       -- being sent by leased_by until lease_expires_at
    'unconfirmed'   -- waits for evidence until due_at, then the policy of the watch decides
);
comment on type rowbell.queue_state is 'What a queue row waits for.';

-- The hot side of messages that still have to leave, or of which it is not known whether they left: small, and
-- deleted when the matter is settled. A row is leased exactly while its message is sending.
create table rowbell.queue (
    message_id        bigint primary key,
    channel           text collate "C" not null,
    watch             text collate "C" not null,
    entity_key        text collate "C" not null,
    recipient_key     text collate "C",
    hold_id           bigint,

    state             rowbell.queue_state not null,
    due_at            timestamptz not null,
    late_since        timestamptz,

    -- Who may send it now, and until when. Both are null unless the message is sending.
    leased_by         text collate "C",
    lease_expires_at  timestamptz,
    is_dry_run        boolean not null default false,

    constraint lease_iff_sending check (
        (state = 'leased') = (leased_by is not null)
        and (leased_by is null) = (lease_expires_at is null)
    ),
    constraint dry_run_only_while_sending check (not is_dry_run or state = 'leased'),
    constraint hold_only_while_held check (hold_id is null or state = 'held')
)
with (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 50000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 100000,
    autovacuum_vacuum_cost_delay = 0
);

-- At most one message of an entity for one recipient is open (waiting, scheduled or held), and one for all of
-- them, into which later changes fold.
create unique index one_open_message_per_recipient on rowbell.queue (watch, entity_key, coalesce(recipient_key, ''))
 where state in ('open', 'held');

-- What compose asks: which messages of this channel are due, watch by watch? Each scan has a lower bound, so
-- that entries of rows already gone are not walked again and again.
create index queue_fair_idx on rowbell.queue (channel, watch, due_at, message_id) where state = 'open';

-- What sweep asks: which leases ran out, and which unconfirmed messages are old enough to decide?
create index queue_lease_idx on rowbell.queue (lease_expires_at) where state = 'leased';
create index queue_unconfirmed_idx on rowbell.queue (due_at) where state = 'unconfirmed';

-- What held, approve and discard ask: which messages does this hold have?
create index queue_held_idx on rowbell.queue (watch, hold_id, message_id) where state = 'held';

comment on table  rowbell.queue is 'Messages that still have to leave, or of which it is not known whether they left. A row is deleted when its message has left or ended.';
comment on column rowbell.queue.message_id is 'The message.';
comment on column rowbell.queue.channel is 'The channel that will send it.';
comment on column rowbell.queue.watch is 'Watch of the message, for the rule of one open message per recipient.';
comment on column rowbell.queue.entity_key is 'Entity of the message, for the same rule.';
comment on column rowbell.queue.recipient_key is 'Recipient of the message, for the same rule; null while it is for all recipients of the entity.';
comment on column rowbell.queue.hold_id is 'The storm that holds it; see rowbell.hold.';
comment on column rowbell.queue.state is 'open, held, leased or unconfirmed.';
comment on column rowbell.queue.due_at is 'When it may leave; for unconfirmed, when the policy of the watch decides.';
comment on column rowbell.queue.late_since is 'When it was due first, if errors have put it off since; null: they have not.';
comment on column rowbell.queue.leased_by is 'The daemon instance that is sending it.';
comment on column rowbell.queue.lease_expires_at is 'When that right ends. A lease that ran out leaves the message unconfirmed.';
comment on column rowbell.queue.is_dry_run is 'True while it is being recorded instead of sent: if its daemon dies, it has certainly not left.';


-- Messages that wait for a person because too many entities of a watch changed at once.
create table rowbell.hold (
    hold_id         bigint generated always as identity primary key,
    watch           text collate "C" not null,
    -- The transaction that changed too many entities; null: too many within a minute.
    transaction_id  bigint,

    began_at        timestamptz not null,
    last_joined_at  timestamptz not null,
    message_count   bigint not null default 0,
    reason          text not null,

    constraint messages_are_counted check (message_count >= 0)
);
comment on table  rowbell.hold is 'Storms: too many entities of a watch changed at once, and rowbell held their messages until a person decides.';
comment on column rowbell.hold.hold_id is 'Key.';
comment on column rowbell.hold.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell.hold.transaction_id is 'The business transaction that changed too many entities; null when too many changed within a minute.';
comment on column rowbell.hold.began_at is 'When the storm was noticed.';
comment on column rowbell.hold.last_joined_at is 'When the last message joined it.';
comment on column rowbell.hold.message_count is 'Messages held by it in all, whatever became of them.';
comment on column rowbell.hold.reason is 'What happened, in words.';


create type rowbell.large_decision as enum (
    'leaves',     -- like any other change
    'discarded',  -- a person ended them: the next change of a row tells them too
    'told'        -- a person ended them, and they count as told
);
comment on type rowbell.large_decision is 'What becomes of the changes of a large transaction.';

-- What one transaction changed of one watch, or a part of it, where that is much: claim leaves it alone until it is
-- decided, and takes it in a turn of its own then. A row goes when nothing is left of it.
create table rowbell.large_transaction (
    large_transaction_id  bigint generated always as identity primary key,
    watch                 text collate "C" not null,
    transaction_id        xid8 not null,
    first_change_id       bigint not null,
    last_change_id        bigint not null,

    hold_id               bigint,
    entity_count          bigint not null,
    decision              rowbell.large_decision,
    decision_text         text,

    constraint entities_are_counted check (entity_count >= 0)
);
comment on table  rowbell.large_transaction is 'Transactions that changed many rows of a watch. Their changes stay in rowbell.change until it is decided about them.';
comment on column rowbell.large_transaction.large_transaction_id is 'Key.';
comment on column rowbell.large_transaction.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell.large_transaction.transaction_id is 'The business transaction.';
comment on column rowbell.large_transaction.first_change_id is 'The first of its changes that is left.';
comment on column rowbell.large_transaction.last_change_id is 'The last of them.';
comment on column rowbell.large_transaction.hold_id is 'The storm that it is; null where it leaves without a question.';
comment on column rowbell.large_transaction.entity_count is 'How many rows of the business it is about, without those that joined the hold as messages.';
comment on column rowbell.large_transaction.decision is 'leaves, discarded or told; null: it waits for a person.';
comment on column rowbell.large_transaction.decision_text is 'Who decided, and why, in words.';

create view rowbell.held_transaction as
select l.large_transaction_id, l.watch, l.transaction_id, l.first_change_id, l.last_change_id, l.hold_id, l.entity_count
  from rowbell.large_transaction as l
 where l.decision is null;
comment on view   rowbell.held_transaction is 'Large transactions that wait for a person. See rowbell.large_transaction.';
comment on column rowbell.held_transaction.large_transaction_id is 'Key.';
comment on column rowbell.held_transaction.watch is 'Name of the watch.';
comment on column rowbell.held_transaction.transaction_id is 'The business transaction.';
comment on column rowbell.held_transaction.first_change_id is 'The first of its changes that is left.';
comment on column rowbell.held_transaction.last_change_id is 'The last of them.';
comment on column rowbell.held_transaction.hold_id is 'The storm that it is.';
comment on column rowbell.held_transaction.entity_count is 'How many rows of the business it is about.';

create view rowbell.change_to_claim as
select c.change_id, c.watch, c.changed_at, c.capture_error
  from rowbell.change as c
 where not exists (
       select
         from rowbell.held_transaction as h
        where h.watch = c.watch and h.transaction_id = c.transaction_id
          and c.change_id between h.first_change_id and h.last_change_id
 );
comment on view   rowbell.change_to_claim is 'Changes that are not folded yet, without those that wait for a person.';
comment on column rowbell.change_to_claim.change_id is 'Order of capture.';
comment on column rowbell.change_to_claim.watch is 'Name of the watch.';
comment on column rowbell.change_to_claim.changed_at is 'When the row was changed, by the clock of the server.';
comment on column rowbell.change_to_claim.capture_error is 'Why the row could not be read by the trigger.';


create type rowbell.fallback_cause as enum (
    'failed',       -- undeliverable, or every attempt failed
    'skipped',      -- the recipient cannot be reached there, or does not want to
    'undelivered'   -- accepted, and not delivered by due_at
);
comment on type rowbell.fallback_cause is 'Why a message may go to the next channel of its watch.';

create type rowbell.fallback_waits_for as enum (
    'past_receipts',  -- the daemon has just started: receipts of the time before may still come in
    'receipts',       -- no receipt of its channel came since
    'circuit',        -- errors have stopped its channel or template
    'attempt',        -- an attempt is under way
    'person'          -- it waits for a person
);
comment on type rowbell.fallback_waits_for is 'What has to happen before rowbell can decide whether a message goes to the next channel.';

-- Messages that may have to go to the next channel of their watch, and when that is decided. Small:
-- a row is deleted when it is decided.
create table rowbell.fallback (
    message_id   bigint primary key,
    cause        rowbell.fallback_cause not null,
    waits_for    rowbell.fallback_waits_for,
    due_at       timestamptz not null
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

comment on table  rowbell.fallback is 'Messages that may have to go to the next channel of their watch. A row is deleted when that is decided.';
comment on column rowbell.fallback.message_id is 'The message.';
comment on column rowbell.fallback.cause is 'failed, skipped or undelivered.';
comment on column rowbell.fallback.waits_for is 'Why the decision was last put off; null when it was not.';
comment on column rowbell.fallback.due_at is 'When that is decided.';
