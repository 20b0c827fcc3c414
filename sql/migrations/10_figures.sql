-- 10_figures: what became of changes, as figures, and the messages that a person may want to look at.
--
-- Each reads the history once, some with one look-up for each message that failed: fine for a report. Phones
-- are in opt_outs only.


-- The way from changed rows to readers. A net change is a message with all that stands in for it: it counts
-- once, on whatever channel it was told.
create view rowbell_report.funnel as
with stood_in as (
    select f.fallback_of as message_id,
           bool_or(f.sent_at is not null) as was_sent,
           bool_or(f.delivered_at is not null) as was_delivered,
           bool_or(f.read_at is not null) as was_read
      from rowbell.message as f
     where f.fallback_of is not null
     group by f.fallback_of
)
select m.first_changed_at::date as day,
       m.watch,
       sum(m.change_count) as changes,
       count(*) as net_changes,
       count(*) filter (where m.state <> 'skipped' or s.message_id is not null) as to_tell,
       count(*) filter (where m.sent_at is not null or s.was_sent) as sent,
       count(*) filter (where m.delivered_at is not null or s.was_delivered) as delivered,
       count(*) filter (where m.read_at is not null or s.was_read) as read,
       count(*) filter (where s.was_sent) as sent_by_fallback
  from rowbell.message as m
  left join stood_in as s using (message_id)
 where m.fallback_of is null
 group by 1, 2;

comment on view   rowbell_report.funnel is 'From changed rows to readers, by day and watch: each column is a part of the one before it. Reads the whole history.';
comment on column rowbell_report.funnel.day is 'Day of the first change, in the time zone of the session.';
comment on column rowbell_report.funnel.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.funnel.changes is 'Changes of rows that were captured.';
comment on column rowbell_report.funnel.net_changes is 'What was left of them after those of one row were folded into one.';
comment on column rowbell_report.funnel.to_tell is 'Of them, those that somebody was meant to hear of: not skipped, or told on another channel.';
comment on column rowbell_report.funnel.sent is 'Of them, those that a provider accepted, on any channel.';
comment on column rowbell_report.funnel.delivered is 'Of them, those that are known to have reached the device. Channels other than WhatsApp do not say.';
comment on column rowbell_report.funnel.read is 'Of them, those that were opened. Recipients may hide that.';
comment on column rowbell_report.funnel.sent_by_fallback is 'Of those sent, the ones that a fallback was sent for.';


-- How long it took, step by step: half of the messages took at most p50, ninety in a hundred at most p90.
create view rowbell_report.latency as
select m.first_changed_at::date as day,
       m.watch,
       m.channel,
       step.name as step,
       count(*) as messages,
       round((percentile_cont(0.50) within group (order by step.seconds))::numeric, 1) as p50_seconds,
       round((percentile_cont(0.90) within group (order by step.seconds))::numeric, 1) as p90_seconds,
       round((percentile_cont(0.99) within group (order by step.seconds))::numeric, 1) as p99_seconds,
       round(max(step.seconds)::numeric, 1) as longest_seconds
  from rowbell.message as m
 cross join lateral (
       values ('1 first change to sent', extract(epoch from m.sent_at - m.first_changed_at)::double precision),
              ('2 last change to sent', extract(epoch from m.sent_at - m.last_changed_at)::double precision),
              ('3 sent to delivered', extract(epoch from m.delivered_at - m.sent_at)::double precision),
              ('4 delivered to read', extract(epoch from m.read_at - m.delivered_at)::double precision)
  ) as step (name, seconds)
 where step.seconds is not null
 group by 1, 2, 3, 4;

comment on view   rowbell_report.latency is 'How long each step took, by day, watch and channel. Reads the whole history.';
comment on column rowbell_report.latency.day is 'Day of the first change, in the time zone of the session.';
comment on column rowbell_report.latency.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.latency.channel is 'The channel, as in the configuration.';
comment on column rowbell_report.latency.step is '1 first change to sent (quiet period included), 2 last change to sent, 3 sent to delivered, or 4 delivered to read.';
comment on column rowbell_report.latency.messages is 'Messages that took this step.';
comment on column rowbell_report.latency.p50_seconds is 'Half of them took at most so long.';
comment on column rowbell_report.latency.p90_seconds is 'Ninety in a hundred took at most so long.';
comment on column rowbell_report.latency.p99_seconds is 'Ninety-nine in a hundred took at most so long.';
comment on column rowbell_report.latency.longest_seconds is 'The slowest took so long.';


-- Why messages failed, most frequent first if asked for that; with the last one as an example.
create view rowbell_report.failure_reasons as
with counted as (
    select f.watch, f.channel, f.reason, f.error_class, f.error_code,
           count(*) as messages,
           min(f.failed_at) as first_failed_at,
           max(f.failed_at) as last_failed_at,
           max(f.message_id) as last_message_id
      from rowbell_report.failures as f
     group by 1, 2, 3, 4, 5
)
select c.watch, c.channel, c.reason, c.error_class, c.error_code, c.messages, c.first_failed_at, c.last_failed_at,
       c.last_message_id,
       m.entity_key as last_entity_key,
       m.reason_text as last_reason_text
  from counted as c
  join rowbell.message as m on m.message_id = c.last_message_id;

comment on view   rowbell_report.failure_reasons is 'Why messages failed, how many, and the last one of each kind. Reads the whole history.';
comment on column rowbell_report.failure_reasons.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.failure_reasons.channel is 'The channel that they were to be sent on.';
comment on column rowbell_report.failure_reasons.reason is 'rejected, undeliverable, exhausted, expired or unwritable; see rowbell_report.failures.reason.';
comment on column rowbell_report.failure_reasons.error_class is 'What rowbell made of the error: retry, slow, recipient, content, template, channel or later; null when a receipt told of it.';
comment on column rowbell_report.failure_reasons.error_code is 'Error code of WhatsApp, where there was one.';
comment on column rowbell_report.failure_reasons.messages is 'Messages that failed so.';
comment on column rowbell_report.failure_reasons.first_failed_at is 'When the first of them failed.';
comment on column rowbell_report.failure_reasons.last_failed_at is 'When the last of them failed.';
comment on column rowbell_report.failure_reasons.last_message_id is 'The youngest of them, as an example.';
comment on column rowbell_report.failure_reasons.last_entity_key is 'Primary key of its row, as text: for rowbell explain.';
comment on column rowbell_report.failure_reasons.last_reason_text is 'Why it failed, in words.';


-- Messages that the provider may have or not.
create view rowbell_report.unconfirmed as
select m.message_id,
       m.watch,
       m.entity_key,
       m.channel,
       m.attempt_count::integer as attempt_count,
       a.started_at as sent_perhaps_at,
       a.error_text,
       case when q.message_id is null then 'a person' else 'evidence' end as waits_for,
       q.due_at as decided_at,
       m.summary,
       m.first_changed_at
  from rowbell.message as m
  left join rowbell.queue as q using (message_id)
  left join rowbell.attempt as a on a.message_id = m.message_id and a.number = m.attempt_count
 where m.state = 'unconfirmed';

comment on view   rowbell_report.unconfirmed is 'Messages that the provider may have or not. Reads the whole history.';
comment on column rowbell_report.unconfirmed.message_id is 'The message.';
comment on column rowbell_report.unconfirmed.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.unconfirmed.entity_key is 'Primary key of the watched row, as text.';
comment on column rowbell_report.unconfirmed.channel is 'The channel that it was sent on, perhaps.';
comment on column rowbell_report.unconfirmed.attempt_count is 'How many attempts were begun.';
comment on column rowbell_report.unconfirmed.sent_perhaps_at is 'When the attempt in doubt was begun.';
comment on column rowbell_report.unconfirmed.error_text is 'Why it is in doubt.';
comment on column rowbell_report.unconfirmed.waits_for is 'evidence: until decided_at, then the policy of its watch decides. a person: no evidence came in time; rowbell retry sends it again.';
comment on column rowbell_report.unconfirmed.decided_at is 'When the policy of its watch decides; null when a person has to.';
comment on column rowbell_report.unconfirmed.summary is 'What the recipient perhaps does not know.';
comment on column rowbell_report.unconfirmed.first_changed_at is 'When the first of the changes was made.';


-- Messages that stand in for others on another channel. Cheap: an index stands behind it.
create view rowbell_report.fallbacks as
select f.message_id,
       f.fallback_of as first_message_id,
       f.watch,
       f.entity_key,
       first.channel as first_channel,
       first.state::text as first_state,
       first.reason::text as first_reason,
       row_number() over (partition by f.fallback_of order by f.message_id) as place,
       f.channel,
       f.state::text as state,
       f.reason::text as reason,
       f.reason_text,
       f.created_at as opened_at,
       f.sent_at,
       f.sent_at - first.first_changed_at as first_change_to_sent,
       first.delivered_at as first_delivered_at
  from rowbell.message as f
  left join rowbell.message as first on first.message_id = f.fallback_of
 where f.fallback_of is not null;

comment on view   rowbell_report.fallbacks is 'Messages that stand in for others that did not reach their recipient, on another channel.';
comment on column rowbell_report.fallbacks.message_id is 'The message that stands in.';
comment on column rowbell_report.fallbacks.first_message_id is 'The first message of the chain.';
comment on column rowbell_report.fallbacks.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.fallbacks.entity_key is 'Primary key of the watched row, as text.';
comment on column rowbell_report.fallbacks.first_channel is 'The channel of the first message.';
comment on column rowbell_report.fallbacks.first_state is 'Where the first message stands now. sent: it was not delivered in time.';
comment on column rowbell_report.fallbacks.first_reason is 'Why the first message failed or was skipped.';
comment on column rowbell_report.fallbacks.place is '1 for the first fallback of the chain, 2 for the one after it.';
comment on column rowbell_report.fallbacks.channel is 'The channel that it goes by.';
comment on column rowbell_report.fallbacks.state is 'Where it stands.';
comment on column rowbell_report.fallbacks.reason is 'Why it failed or was skipped. not_needed: the first one arrived after all.';
comment on column rowbell_report.fallbacks.reason_text is 'The same in words; also why it was opened, while it waits.';
comment on column rowbell_report.fallbacks.opened_at is 'When it was clear that the message before it had not reached the recipient.';
comment on column rowbell_report.fallbacks.sent_at is 'When its provider accepted it.';
comment on column rowbell_report.fallbacks.first_change_to_sent is 'How long the recipient was not told in all.';
comment on column rowbell_report.fallbacks.first_delivered_at is 'When the first message arrived after all, if it did: then the recipient was told twice.';


-- Who must not be written to.
create view rowbell_report.opt_outs as
select o.phone, o.since, o.source, o.reason
  from rowbell.opt_out as o;

comment on view   rowbell_report.opt_outs is 'Phones that must not be written to on WhatsApp.';
comment on column rowbell_report.opt_outs.phone is 'International digits without plus sign.';
comment on column rowbell_report.opt_outs.since is 'Since when.';
comment on column rowbell_report.opt_outs.source is 'Who said so: inbound, operator, import or provider.';
comment on column rowbell_report.opt_outs.reason is 'Why, in words.';

comment on column rowbell_report.delivery_by_day.changes is 'Changes that were folded into them; a fallback counts those of its first message again. See rowbell_report.funnel.';
