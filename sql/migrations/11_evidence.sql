-- 11_evidence: what is known of the providers' witnesses, what is to be asked for, and evidence per message.

alter table rowbell.receipt
    add column recipient_phone text,
    add column error_title     text;
comment on column rowbell.receipt.recipient_phone is 'Digits of the phone that the provider named, which may differ from the phone that was written to; null when it named none.';
comment on column rowbell.receipt.error_title is 'Title of the error, for failed; null when the provider gave none.';


-- Accepted messages whose end is asked for, one row for all that one statement accepted on one channel:
-- an acceptance costs a part of a row, and nothing is written when a receipt comes.
create table rowbell.poll (
    poll_id      bigint generated always as identity primary key,
    channel      text not null,
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

comment on table  rowbell.poll is 'Messages whose end the provider is asked for. A row is deleted when all its messages have ended, or nothing was heard of them for too long.';
comment on column rowbell.poll.poll_id is 'Key.';
comment on column rowbell.poll.channel is 'The channel that they were sent on.';
comment on column rowbell.poll.message_ids is 'Messages that were accepted together and have not ended, as of the last look.';
comment on column rowbell.poll.accepted_at is 'When the provider accepted them.';
comment on column rowbell.poll.due_at is 'When to look next.';
comment on column rowbell.poll.asked_at is 'When it was looked last.';
comment on column rowbell.poll.asked_count is 'How often it was looked.';


-- What can tell us of a channel's receipts.
create table rowbell.witness (
    channel   text not null,
    witness   text not null,
    state     text not null,
    since     timestamptz not null,
    heard_at  timestamptz,
    detail    text,

    primary key (channel, witness),
    constraint witness_is_webhook_or_polling check (witness in ('webhook', 'polling')),
    constraint state_is_works_missing_or_failing check (state in ('works', 'missing', 'failing'))
);
comment on table  rowbell.witness is 'What can tell of the receipts of a channel, and when it did last. One that was never heard is absent.';
comment on column rowbell.witness.channel is 'Name of the channel, as in the configuration.';
comment on column rowbell.witness.witness is 'webhook or polling.';
comment on column rowbell.witness.state is 'works; missing: the provider does not have it; failing: it could not be asked.';
comment on column rowbell.witness.since is 'Since when it is so.';
comment on column rowbell.witness.heard_at is 'When it told something last, to the minute.';
comment on column rowbell.witness.detail is 'Why it fails, in words. Holds no personal data.';


-- What is known of the end of each message that the provider gave an id, and how sure it is.
create view rowbell_report.evidence as
select m.message_id,
       m.watch,
       m.entity_key,
       m.channel,
       m.state::text as state,
       m.provider_message_id,
       said.receipts,
       said.by_webhook,
       said.by_polling,
       said.doubled,
       said.late,
       said.is_contradictory,
       said.came_before_answer,
       said.is_lost,
       failure.error_code as first_error_code,
       failure.error_title as first_error_title,
       failure.error_text as first_error_text,
       said.first_heard_at,
       said.last_heard_at
  from rowbell.message as m
  -- Receipts in order of arrival, each with the furthest that was known before it.
 cross join lateral (
       select count(*) as receipts,
              count(*) filter (where r.source = 'webhook') as by_webhook,
              count(*) filter (where r.source = 'poll') as by_polling,
              count(*) - count(distinct (r.status, r.error_code)) as doubled,
              count(*) filter (where r.status < r.known_before) as late,
              coalesce(bool_or(r.status = 'failed') and bool_or(r.status in ('delivered', 'read')), false) as is_contradictory,
              coalesce(bool_or(r.received_at < a.finished_at), false) as came_before_answer,
              coalesce(bool_or(r.source = 'timeout') and not bool_or(r.status in ('failed', 'delivered', 'read')), false) as is_lost,
              min(r.received_at) as first_heard_at,
              max(r.received_at) filter (where r.source <> 'timeout') as last_heard_at
         from rowbell.attempt as a
         join lateral (
              select w.status, w.error_code, w.source, w.received_at,
                     max(w.status) filter (where w.status <> 'other')
                         over (order by w.receipt_id rows between unbounded preceding and 1 preceding) as known_before
                from rowbell.receipt as w
               where w.provider_message_id = a.provider_message_id
         ) as r on true
        where a.message_id = m.message_id
  ) as said
  left join lateral (
       select r.error_code, r.error_title, r.error_text
         from rowbell.attempt as a
         join rowbell.receipt as r using (provider_message_id)
        where a.message_id = m.message_id and r.status = 'failed'
        order by coalesce(r.occurred_at, r.received_at), r.receipt_id
        limit 1
  ) as failure on true
 where m.provider_message_id is not null;

comment on view   rowbell_report.evidence is 'One row per accepted message: what was heard of it, from whom, and whether it is consistent. Fast when filtered by message_id, or by watch and entity_key.';
comment on column rowbell_report.evidence.message_id is 'The message.';
comment on column rowbell_report.evidence.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.evidence.entity_key is 'Primary key of the watched row, as text.';
comment on column rowbell_report.evidence.channel is 'The channel that it was sent on.';
comment on column rowbell_report.evidence.state is 'What rowbell made of all of it: the furthest of sent, failed, delivered, read.';
comment on column rowbell_report.evidence.provider_message_id is 'Id of the message at the provider.';
comment on column rowbell_report.evidence.receipts is 'Pieces of evidence in all.';
comment on column rowbell_report.evidence.by_webhook is 'Of them, those that the provider posted.';
comment on column rowbell_report.evidence.by_polling is 'Of them, those that rowbell asked for.';
comment on column rowbell_report.evidence.doubled is 'Of them, those that said what was said before.';
comment on column rowbell_report.evidence.late is 'Of them, those that said less than was known when they came.';
comment on column rowbell_report.evidence.is_contradictory is 'True when it was said both to have failed and to have arrived. Arrived counts.';
comment on column rowbell_report.evidence.came_before_answer is 'True when a receipt came before the answer to the request itself.';
comment on column rowbell_report.evidence.is_lost is 'True when nothing was heard of its end for so long that rowbell stopped asking. It may still arrive.';
comment on column rowbell_report.evidence.first_error_code is 'Error code of the first failure that the provider reported after it had accepted the message.';
comment on column rowbell_report.evidence.first_error_title is 'Title of that error.';
comment on column rowbell_report.evidence.first_error_text is 'Text of that error.';
comment on column rowbell_report.evidence.first_heard_at is 'When the first receipt came.';
comment on column rowbell_report.evidence.last_heard_at is 'When the last one came from the provider.';
