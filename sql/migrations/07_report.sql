-- 07_report: the views for analysts. What stands here is promised: columns are added, never renamed.
--
-- States, reasons and the like are texts here, so that no view depends on a type of the machine.
-- Times are timestamptz: "set time zone 'America/New_York'" moves them, and the days, to yours.
--
-- Cheap filters, because an index stands behind them: message_id; watch with entity_key; recipient_phone. Everything
-- else reads the whole history: fine for a report, not for a dashboard that asks every second.
-- Names and phones are in message_status, failures, dry_runs, last_told, opt_outs and consent only; who may read
-- which columns stands in roles.sql.


-- It rises with each release that adds to these views.
create view rowbell_report.version as select 1 as version;

comment on view   rowbell_report.version is 'One row: the version of these views. It rises when views or columns are added; none is renamed or taken away.';
comment on column rowbell_report.version.version is 'The version.';


-- One row per message: its recipient, its words, and its state.
create view rowbell_report.message_status as
select m.message_id,
       m.watch,
       m.entity_key,
       m.state::text as state,
       m.reason::text as reason,
       m.reason_text,
       m.operation::text as operation,
       m.change_count,
       m.old_row,
       m.new_row,
       m.channel,
       m.template,
       m.language,
       m.recipient_name,
       m.recipient_phone,
       m.recipient_locale,
       m.recipient_time_zone,
       m.summary,
       m.parameters,
       m.attempt_count::integer as attempt_count,
       m.provider_message_id,
       coalesce(refusal.error_code, problem.error_code) as last_error_code,
       case when refusal.receipt_id is null then problem.error_class::text end as last_error_class,
       coalesce(refusal.error_text, problem.error_text) as last_error_text,
       coalesce(greatest(refusal.happened_at, case when refusal.receipt_id is not null then m.sent_at end), problem.finished_at) as last_error_at,
       m.first_changed_at,
       m.last_changed_at,
       m.created_at,
       m.due_at,
       m.sent_at,
       m.delivered_at,
       m.read_at,
       m.finished_at,
       m.updated_at,
       -- Clocks of two machines: nothing takes less than no time.
       m.sent_at - least(m.sent_at, m.first_changed_at) as first_change_to_sent,
       m.sent_at - least(m.sent_at, m.last_changed_at) as last_change_to_sent,
       m.delivered_at - least(m.delivered_at, m.first_changed_at) as first_change_to_delivered,
       m.delivered_at - least(m.delivered_at, m.sent_at) as sent_to_delivered,
       m.read_at - least(m.read_at, m.delivered_at) as delivered_to_read,
       m.time_zone_source,
       coalesce(m.reason::text = 'dry_run', false) as is_dry_run,
       m.waits_for::text as waits_for,
       m.confirmed_by,
       m.fallback_of,
       m.recipient_key,
       m.changed_by,
       rowbell.keyed_hash(m.recipient_phone, (select k.key from rowbell.hash_key as k)) as phone_hash,
       rowbell.keyed_hash(m.recipient_key, (select k.key from rowbell.hash_key as k)) as recipient_hash,
       rowbell.keyed_hash(m.entity_key, (select k.key from rowbell.hash_key as k)) as entity_hash,
       array(select rowbell.keyed_hash(actor, (select k.key from rowbell.hash_key as k))
               from unnest(m.changed_by) as actor) as changed_by_hash,
       m.recipient_country,
       m.in_quiet_hours
  from rowbell.message as m
  -- The latest attempt that failed. Its key leads from the message to it.
  left join lateral (
       select a.error_code, a.error_class, a.error_text, a.finished_at
         from rowbell.attempt as a
        where a.message_id = m.message_id and a.result::text not in ('accepted', 'dry_run')
        order by a.number desc
        limit 1
  ) as problem on true
  -- What WhatsApp reported after the provider had accepted the message; later than any attempt.
  left join lateral (
       select r.receipt_id, r.error_code, r.error_text, coalesce(r.occurred_at, r.received_at) as happened_at
         from rowbell.receipt as r
        where r.provider_message_id = m.provider_message_id and r.status = 'failed'
        order by r.receipt_id desc
        limit 1
  ) as refusal on true;

comment on view   rowbell_report.message_status is 'One row per message: its recipient, its words, its state and its times. Fast when filtered by message_id, or by watch and entity_key.';
comment on column rowbell_report.message_status.message_id is 'The message. Rises with the time at which it was opened.';
comment on column rowbell_report.message_status.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.message_status.entity_key is 'Primary key of the watched row, as text; parts of a composite key are joined by commas.';
comment on column rowbell_report.message_status.state is 'waiting, scheduled, held, sending, unconfirmed, sent, delivered, read, failed or skipped. Sent means accepted by the provider, not delivered.';
comment on column rowbell_report.message_status.reason is 'Why it failed (rejected, undeliverable, exhausted, expired, unwritable) or was skipped (no_net_change, silenced, opted_out, no_recipient, bad_phone, bad_email, muted, superseded, stale, discarded, not_needed, dry_run, outside_only_to); null in every other state.';
comment on column rowbell_report.message_status.reason_text is 'The same in words; also why a message waits.';
comment on column rowbell_report.message_status.operation is 'What happened to the row in the end: insert, update or delete; withdrawn: it went over to somebody else, and its recipient is told so.';
comment on column rowbell_report.message_status.change_count is 'How many changes of the row this one message tells.';
comment on column rowbell_report.message_status.old_row is 'The row before the first of them: watched, key and recipient columns.';
comment on column rowbell_report.message_status.new_row is 'The row that the message tells; before its words are made, the row after the last change.';
comment on column rowbell_report.message_status.channel is 'The channel that sends it, as in the configuration.';
comment on column rowbell_report.message_status.template is 'The template that it was sent as: its name at WhatsApp; on other channels, where it has none, its name in the configuration.';
comment on column rowbell_report.message_status.language is 'Language code of the template.';
comment on column rowbell_report.message_status.recipient_name is 'Name of the recipient. Null until the words of the message are made.';
comment on column rowbell_report.message_status.recipient_phone is 'Phone of the recipient: international digits without plus sign.';
comment on column rowbell_report.message_status.recipient_locale is 'Locale in which dates and numbers were written.';
comment on column rowbell_report.message_status.recipient_time_zone is 'Time zone in which times were written.';
comment on column rowbell_report.message_status.summary is 'What changed, in the words that the recipient reads.';
comment on column rowbell_report.message_status.parameters is 'The body variables of the template, in order: a JSON array of texts.';
comment on column rowbell_report.message_status.attempt_count is 'How many attempts were begun.';
comment on column rowbell_report.message_status.provider_message_id is 'Id of the message at the provider, for questions to its support.';
comment on column rowbell_report.message_status.last_error_code is 'Error code of WhatsApp of the latest error, if there was any. A message may have arrived in spite of it: see state.';
comment on column rowbell_report.message_status.last_error_class is 'What rowbell made of that error: retry, slow, recipient, content, template, channel or later; null when a receipt reported it.';
comment on column rowbell_report.message_status.last_error_text is 'The text that came with it.';
comment on column rowbell_report.message_status.last_error_at is 'When it happened.';
comment on column rowbell_report.message_status.first_changed_at is 'When the first of the changes was made.';
comment on column rowbell_report.message_status.last_changed_at is 'When the last of the changes was made.';
comment on column rowbell_report.message_status.created_at is 'When the message was opened.';
comment on column rowbell_report.message_status.due_at is 'When it may leave; null once it is leaving or has left.';
comment on column rowbell_report.message_status.sent_at is 'When the provider accepted it.';
comment on column rowbell_report.message_status.delivered_at is 'When it reached the device.';
comment on column rowbell_report.message_status.read_at is 'When it was opened by the recipient.';
comment on column rowbell_report.message_status.finished_at is 'When it failed or was skipped.';
comment on column rowbell_report.message_status.updated_at is 'When anything of this was last written.';
comment on column rowbell_report.message_status.first_change_to_sent is 'How long the recipient waited: from the first change to sent, quiet period included.';
comment on column rowbell_report.message_status.last_change_to_sent is 'From the last change to sent.';
comment on column rowbell_report.message_status.first_change_to_delivered is 'From the first change to delivered.';
comment on column rowbell_report.message_status.sent_to_delivered is 'From sent to delivered: the time of provider, network and device.';
comment on column rowbell_report.message_status.delivered_to_read is 'From delivered to read: the time of the recipient.';
comment on column rowbell_report.message_status.time_zone_source is 'Where recipient_time_zone comes from: row, recipient, watch, configuration or nobody (then it is UTC); also which values were ignored because they name no time zone.';
comment on column rowbell_report.message_status.is_dry_run is 'True: it passed every check, its words were made, and rowbell recorded it instead of sending it.';
comment on column rowbell_report.message_status.waits_for is 'What keeps it from leaving besides the quiet period of its watch, when rowbell last checked: order (an earlier message of the row), quiet_hours, circuit, per_recipient_limit, unique_recipients, unconfirmed_attempt, watch, retry, burst_retry or hold; null when nothing does.';
comment on column rowbell_report.message_status.confirmed_by is 'Who said that it arrived, where the provider sent no evidence (rowbell settle); null otherwise.';

comment on column rowbell_report.message_status.fallback_of is 'The message that it stands in for on another channel: the first of its chain; null for one that stands for itself.';
comment on column rowbell_report.message_status.recipient_key is 'Who is told: recipient_key of the recipient query, or else the phone, or else the mail address. Null while nobody was asked for.';
comment on column rowbell_report.message_status.changed_by is 'Who made the changes, each once, at most ten: the setting rowbell.actor, or the database user with the application_name in brackets.';
comment on column rowbell_report.message_status.phone_hash is 'Stands for the phone: the same phone has the same hash, everywhere in these views. Null where there is no phone, or none any more.';
comment on column rowbell_report.message_status.recipient_hash is 'Stands for recipient_key in the same way; it is the phone''s hash where the phone is the key.';
comment on column rowbell_report.message_status.entity_hash is 'Stands for entity_key in the same way.';
comment on column rowbell_report.message_status.changed_by_hash is 'Stands for changed_by in the same way, name by name.';
comment on column rowbell_report.message_status.in_quiet_hours is 'True: it left within quiet hours of its recipient, because it was urgent then (unless_within).';
comment on column rowbell_report.message_status.recipient_country is 'Country of the phone as two letters, such as US; null where there is no phone, or it is of no country.';


-- What recipients know of the rows of the business.
create view rowbell_report.last_told as
select t.watch,
       t.entity_key,
       nullif(t.recipient_key, '') as recipient_key,
       t.status::text as status,
       t.told_at,
       t.row,
       t.message_id,
       nullif(t.attempt, 0)::integer as attempt_number,
       rowbell.keyed_hash(nullif(t.recipient_key, ''), (select k.key from rowbell.hash_key as k)) as recipient_hash,
       rowbell.keyed_hash(t.entity_key, (select k.key from rowbell.hash_key as k)) as entity_hash
  from rowbell.last_told as t;

comment on view   rowbell_report.last_told is 'What recipients were told of the rows of the business, or may have been told. The latest row of a recipient that is accepted or arrived is what they know; possible and unconfirmed after it may have been read instead. Fast when filtered by watch and entity_key.';
comment on column rowbell_report.last_told.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.last_told.entity_key is 'Primary key of the watched row, as text.';
comment on column rowbell_report.last_told.recipient_key is 'Who knows it; null (assumed): those whom the recipient query names for the row.';
comment on column rowbell_report.last_told.status is 'assumed: nothing was told since. rehearsed: in a dry run only. silenced: a rule says nothing about it. sending: on its way. possible, unconfirmed: the provider may have it. accepted: the provider has it. arrived: it reached the device, or nothing more is ever heard of it.';
comment on column rowbell_report.last_told.told_at is 'When the row was read that was told.';
comment on column rowbell_report.last_told.row is 'The row as told: watched, key and recipient columns; null: told that it is gone, or no longer theirs.';
comment on column rowbell_report.last_told.message_id is 'The message that told it.';
comment on column rowbell_report.last_told.attempt_number is 'The attempt of that message.';
comment on column rowbell_report.last_told.recipient_hash is 'Stands for recipient_key; see message_status.';
comment on column rowbell_report.last_told.entity_hash is 'Stands for entity_key; see message_status.';


-- The story of an entity: one row per event. Order by happened_at, step.
--
-- A message keeps its latest words only, so they are put into words once in the story: at the last
-- attempt. Changes that were folded are counted in the message that tells of them.
create view rowbell_report.change_story as
-- Changes that no message tells of yet. The table is small: it is read as a whole.
select c.watch,
       c.entity_key,
       null::bigint as message_id,
       c.changed_at as happened_at,
       1 as step,
       'change captured'::text as event,
       concat_ws('; ',
           c.operation::text || ' by ' || c.changed_by || ', not folded into a message yet',
           'muted: ' || c.mute_reason,
           'the row could not be read: ' || c.capture_error
       ) as detail
  from rowbell.change as c
union all
select m.watch, m.entity_key, m.message_id, m.created_at, 2, 'message opened'::text,
       m.operation::text || ', ' || case m.change_count when 1 then '1 change' else m.change_count || ' changes' end
       || ' made from ' || m.first_changed_at || ' to ' || m.last_changed_at
       || coalesce(' by ' || nullif(array_to_string(m.changed_by, ', '), ''), '')
  from rowbell.message as m
union all
select m.watch, m.entity_key, m.message_id, coalesce(latest.started_at, m.updated_at), 3,
       'put into words'::text, m.summary
  from rowbell.message as m
  left join lateral (
       select a.started_at
         from rowbell.attempt as a
        where a.message_id = m.message_id
        order by a.number desc
        limit 1
  ) as latest on true
 where m.parameters is not null
union all
select m.watch, m.entity_key, m.message_id, a.started_at, 4, 'attempt begun'::text,
       concat('attempt ', a.number, ' on channel ', m.channel, ' in the request of message ' || a.carried_by)
  from rowbell.message as m
  join rowbell.attempt as a using (message_id)
union all
select m.watch, m.entity_key, m.message_id, a.finished_at, 5, 'attempt ended'::text,
       concat_ws(', ',
           'attempt ' || a.number || ': ' || a.result,
           'HTTP ' || a.http_status, 'error ' || a.error_code, a.error_text
       )
  from rowbell.message as m
  join rowbell.attempt as a using (message_id)
 where a.finished_at is not null
union all
-- From the message to its attempts, and by the ids that they were given to the receipts.
select m.watch, m.entity_key, m.message_id,
       -- Providers say whole seconds, by clocks of their own: nothing came before it was sent.
       greatest(coalesce(r.occurred_at, r.received_at), a.started_at, case a.result when 'accepted' then a.finished_at end),
       6, 'receipt'::text,
       concat_ws(', ', r.status::text || ' by ' || r.source, 'error ' || r.error_code, r.error_text)
  from rowbell.message as m
  join rowbell.attempt as a using (message_id)
  join rowbell.receipt as r on r.provider_message_id = a.provider_message_id
union all
select m.watch, m.entity_key, m.message_id, m.finished_at, 7, 'ended'::text,
       m.state::text || ': ' || concat_ws(', ', m.reason::text, m.reason_text)
  from rowbell.message as m
 where m.finished_at is not null;

comment on view   rowbell_report.change_story is 'What happened to an entity, one row per event: order by happened_at, step. Fast when filtered by watch and entity_key, or by message_id.';
comment on column rowbell_report.change_story.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.change_story.entity_key is 'Primary key of the watched row, as text; null when the trigger could not read it.';
comment on column rowbell_report.change_story.message_id is 'The message that the change was folded into; null for a change that is not folded yet.';
comment on column rowbell_report.change_story.happened_at is 'When it happened. Of a receipt: as the provider says, and not before its request was answered.';
comment on column rowbell_report.change_story.step is 'Order of events that happened at the same moment.';
comment on column rowbell_report.change_story.event is 'change captured, message opened, put into words, attempt begun, attempt ended, receipt or ended.';
comment on column rowbell_report.change_story.detail is 'The particulars, for people to read.';


-- Messages that did not reach the recipient, and why. Skipped ones are not here: they were not meant
-- to leave.
create view rowbell_report.failures as
select s.message_id,
       s.watch,
       s.entity_key,
       s.channel,
       s.template,
       s.language,
       s.recipient_name,
       s.recipient_phone,
       s.reason,
       s.reason_text,
       s.last_error_code as error_code,
       s.last_error_class as error_class,
       s.last_error_text as error_text,
       s.attempt_count,
       s.provider_message_id,
       s.summary,
       s.first_changed_at,
       s.finished_at as failed_at
  from rowbell_report.message_status as s
 where s.state = 'failed';

comment on view   rowbell_report.failures is 'Messages that did not reach the recipient, and why.';
comment on column rowbell_report.failures.message_id is 'The message.';
comment on column rowbell_report.failures.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.failures.entity_key is 'Primary key of the watched row, as text.';
comment on column rowbell_report.failures.channel is 'The channel that it was to be sent on.';
comment on column rowbell_report.failures.template is 'The WhatsApp template; null when it failed before its words were made.';
comment on column rowbell_report.failures.language is 'Language code of the template.';
comment on column rowbell_report.failures.recipient_name is 'Name of the recipient.';
comment on column rowbell_report.failures.recipient_phone is 'Phone of the recipient: international digits without plus sign.';
comment on column rowbell_report.failures.reason is 'rejected: the message was refused for good. undeliverable: this recipient cannot be reached. exhausted: every attempt failed. expired: it was too late. unwritable: no words could be made.';
comment on column rowbell_report.failures.reason_text is 'The same in words.';
comment on column rowbell_report.failures.error_code is 'Error code of WhatsApp, where there was one.';
comment on column rowbell_report.failures.error_class is 'What rowbell made of it: retry, slow, recipient, content, template, channel or later; null when a receipt reported it.';
comment on column rowbell_report.failures.error_text is 'Text of the error.';
comment on column rowbell_report.failures.attempt_count is 'How many attempts were begun.';
comment on column rowbell_report.failures.provider_message_id is 'Id of the message at the provider, if it was accepted at first.';
comment on column rowbell_report.failures.summary is 'What changed, in the words that the recipient did not get.';
comment on column rowbell_report.failures.first_changed_at is 'When the first of the changes was made.';
comment on column rowbell_report.failures.failed_at is 'When it failed.';


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
comment on column rowbell_report.failure_reasons.error_class is 'What rowbell made of the error: retry, slow, recipient, content, template, channel or later; null when a receipt reported it.';
comment on column rowbell_report.failure_reasons.error_code is 'Error code of WhatsApp, where there was one.';
comment on column rowbell_report.failure_reasons.messages is 'Messages that failed so.';
comment on column rowbell_report.failure_reasons.first_failed_at is 'When the first of them failed.';
comment on column rowbell_report.failure_reasons.last_failed_at is 'When the last of them failed.';
comment on column rowbell_report.failure_reasons.last_message_id is 'The youngest of them, as an example.';
comment on column rowbell_report.failure_reasons.last_entity_key is 'Primary key of its row, as text: for rowbell explain.';
comment on column rowbell_report.failure_reasons.last_reason_text is 'Why it failed, in words.';


-- Messages of which it is not known whether the provider has them.
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

comment on view   rowbell_report.unconfirmed is 'Messages of which it is not known whether the provider has them. Reads the whole history.';
comment on column rowbell_report.unconfirmed.message_id is 'The message.';
comment on column rowbell_report.unconfirmed.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.unconfirmed.entity_key is 'Primary key of the watched row, as text.';
comment on column rowbell_report.unconfirmed.channel is 'The channel that it was sent on, perhaps.';
comment on column rowbell_report.unconfirmed.attempt_count is 'How many attempts were begun.';
comment on column rowbell_report.unconfirmed.sent_perhaps_at is 'When the unconfirmed attempt was begun.';
comment on column rowbell_report.unconfirmed.error_text is 'Why it is unconfirmed.';
comment on column rowbell_report.unconfirmed.waits_for is 'evidence: until decided_at, then the policy of its watch decides. a person: no evidence came in time; rowbell retry sends it again.';
comment on column rowbell_report.unconfirmed.decided_at is 'When the policy of its watch decides; null when a person has to.';
comment on column rowbell_report.unconfirmed.summary is 'What changed, in the words that the recipient perhaps did not get.';
comment on column rowbell_report.unconfirmed.first_changed_at is 'When the first of the changes was made.';


-- The lookups of evidence about them.
create view rowbell_report.lookups as
select l.reconcile_lookup_id as lookup_id,
       l.message_id,
       m.watch,
       m.entity_key,
       m.channel,
       m.state::text as state,
       l.number::integer as attempt_number,
       l.asked_at,
       l.method::text as method,
       l.found,
       l.provider_message_id
  from rowbell.reconcile_lookup as l
  join rowbell.message as m using (message_id);

comment on view   rowbell_report.lookups is 'Each lookup of evidence whether the provider has a message whose request got no answer. Order by lookup_id.';
comment on column rowbell_report.lookups.lookup_id is 'Order of the lookups.';
comment on column rowbell_report.lookups.message_id is 'The message.';
comment on column rowbell_report.lookups.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.lookups.entity_key is 'Primary key of the watched row, as text.';
comment on column rowbell_report.lookups.channel is 'The channel that it was tried on.';
comment on column rowbell_report.lookups.state is 'Where the message stands now.';
comment on column rowbell_report.lookups.attempt_number is 'The unconfirmed attempt.';
comment on column rowbell_report.lookups.asked_at is 'When rowbell looked.';
comment on column rowbell_report.lookups.method is 'receipts: unmatched receipts. list: the list of messages at the provider. policy: that of the watch decided. person: somebody said what became of it.';
comment on column rowbell_report.lookups.found is 'What came of it, in words.';
comment on column rowbell_report.lookups.provider_message_id is 'Id of the message at the provider, where it was found.';


-- The receipts of each message that the provider gave an id, and whether they are consistent.
create view rowbell_report.evidence as
select m.message_id,
       m.watch,
       m.entity_key,
       m.channel,
       m.state::text as state,
       m.provider_message_id,
       seen.receipts,
       seen.by_webhook,
       seen.by_polling,
       seen.duplicates,
       seen.late,
       seen.is_contradictory,
       seen.came_before_answer,
       seen.is_lost,
       failure.error_code as first_error_code,
       failure.error_title as first_error_title,
       failure.error_text as first_error_text,
       seen.first_receipt_at,
       seen.last_receipt_at
  from rowbell.message as m
  -- Receipts in order of arrival, each with the furthest that was known before it.
 cross join lateral (
       select count(*) + coalesce(sum(r.repeats), 0) as receipts,
              count(*) filter (where r.source = 'webhook') + coalesce(sum(r.repeats), 0) as by_webhook,
              count(*) filter (where r.source = 'poll') as by_polling,
              count(*) + coalesce(sum(r.repeats), 0) - count(distinct (r.status, r.error_code)) as duplicates,
              count(*) filter (where r.status < r.known_before) as late,
              coalesce(bool_or(r.status = 'failed') and bool_or(r.status in ('delivered', 'read')), false) as is_contradictory,
              coalesce(bool_or(r.received_at < a.finished_at), false) as came_before_answer,
              coalesce(bool_or(r.source = 'timeout') and not bool_or(r.status in ('failed', 'delivered', 'read')), false) as is_lost,
              min(r.received_at) as first_receipt_at,
              max(r.received_at) filter (where r.source <> 'timeout') as last_receipt_at
         from rowbell.attempt as a
         join lateral (
              select w.status, w.error_code, w.source, w.received_at, w.repeats,
                     max(w.status) filter (where w.status <> 'other')
                         over (order by w.receipt_id rows between unbounded preceding and 1 preceding) as known_before
                from rowbell.receipt as w
               where w.provider_message_id = a.provider_message_id
         ) as r on true
        where a.message_id = m.message_id
  ) as seen
  left join lateral (
       select r.error_code, r.error_title, r.error_text
         from rowbell.attempt as a
         join rowbell.receipt as r using (provider_message_id)
        where a.message_id = m.message_id and r.status = 'failed'
        order by coalesce(r.occurred_at, r.received_at), r.receipt_id
        limit 1
  ) as failure on true
 where m.provider_message_id is not null;

comment on view   rowbell_report.evidence is 'One row per accepted message: which receipts came, how, and whether they are consistent. Fast when filtered by message_id, or by watch and entity_key.';
comment on column rowbell_report.evidence.message_id is 'The message.';
comment on column rowbell_report.evidence.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.evidence.entity_key is 'Primary key of the watched row, as text.';
comment on column rowbell_report.evidence.channel is 'The channel that it was sent on.';
comment on column rowbell_report.evidence.state is 'The state that follows from the receipts: the furthest of sent, failed, delivered, read.';
comment on column rowbell_report.evidence.provider_message_id is 'Id of the message at the provider.';
comment on column rowbell_report.evidence.receipts is 'How many receipts came in all.';
comment on column rowbell_report.evidence.by_webhook is 'Of them, those that the provider posted.';
comment on column rowbell_report.evidence.by_polling is 'Of them, those that rowbell asked for.';
comment on column rowbell_report.evidence.duplicates is 'Of them, those that repeat an earlier one.';
comment on column rowbell_report.evidence.late is 'Of them, those that report an earlier state than one that came before them.';
comment on column rowbell_report.evidence.is_contradictory is 'True when one receipt reports a failure and another the arrival. Arrived counts.';
comment on column rowbell_report.evidence.came_before_answer is 'True when a receipt came before the answer to the request itself.';
comment on column rowbell_report.evidence.is_lost is 'True when no receipt about its end came for so long that rowbell stopped asking. It may still arrive.';
comment on column rowbell_report.evidence.first_error_code is 'Error code of the first failure that the provider reported after it had accepted the message.';
comment on column rowbell_report.evidence.first_error_title is 'Title of that error.';
comment on column rowbell_report.evidence.first_error_text is 'Text of that error.';
comment on column rowbell_report.evidence.first_receipt_at is 'When the first receipt came.';
comment on column rowbell_report.evidence.last_receipt_at is 'When the last receipt came from the provider.';


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
comment on column rowbell_report.fallbacks.first_change_to_sent is 'How long the recipient waited in all.';
comment on column rowbell_report.fallbacks.first_delivered_at is 'When the first message arrived after all, if it did: then the recipient got both.';


-- What would have been sent. A message of a dry run that is sent after all (rowbell retry) leaves this view.
create view rowbell_report.dry_runs as
select s.message_id,
       s.watch,
       s.entity_key,
       s.channel,
       s.template,
       s.language,
       s.recipient_name,
       s.recipient_phone,
       s.recipient_locale,
       s.recipient_time_zone,
       s.summary,
       s.parameters,
       s.change_count,
       s.first_changed_at,
       s.finished_at as recorded_at
  from rowbell_report.message_status as s
 where s.is_dry_run;

comment on view   rowbell_report.dry_runs is 'Messages that a dry run recorded instead of sending them. Reads the whole history.';
comment on column rowbell_report.dry_runs.message_id is 'The message.';
comment on column rowbell_report.dry_runs.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.dry_runs.entity_key is 'Primary key of the watched row, as text.';
comment on column rowbell_report.dry_runs.channel is 'The channel that it would have been sent on.';
comment on column rowbell_report.dry_runs.template is 'The template that it would have been sent as.';
comment on column rowbell_report.dry_runs.language is 'Language code of the template.';
comment on column rowbell_report.dry_runs.recipient_name is 'Name of the recipient.';
comment on column rowbell_report.dry_runs.recipient_phone is 'Phone of the recipient: international digits without plus sign.';
comment on column rowbell_report.dry_runs.recipient_locale is 'Locale in which dates and numbers were written.';
comment on column rowbell_report.dry_runs.recipient_time_zone is 'Time zone in which times were written.';
comment on column rowbell_report.dry_runs.summary is 'What changed, in the words that the recipient would have read.';
comment on column rowbell_report.dry_runs.parameters is 'The body variables of the template, in order: a JSON array of texts.';
comment on column rowbell_report.dry_runs.change_count is 'How many changes of the row the message tells.';
comment on column rowbell_report.dry_runs.first_changed_at is 'When the first of them was made.';
comment on column rowbell_report.dry_runs.recorded_at is 'When it would have been sent.';


-- Figures per day. The day is that of the first change, in the time zone of the session, so that
-- what an outage delays counts on the day on which the business made the change.
--
-- messages = in_progress + unconfirmed + sent + failed + skipped, but for those that were accepted
-- and failed later: they count as sent and as failed.
create view rowbell_report.delivery_by_day as
select m.first_changed_at::date as day,
       m.watch,
       m.channel,
       count(*) as messages,
       sum(m.change_count) as changes,
       count(*) filter (where m.state in ('waiting', 'scheduled', 'held', 'sending')) as in_progress,
       count(*) filter (where m.state = 'unconfirmed') as unconfirmed,
       count(m.sent_at) as sent,
       count(m.delivered_at) as delivered,
       count(m.read_at) as read,
       count(*) filter (where m.state = 'failed') as failed,
       count(*) filter (where m.state = 'skipped') as skipped,
       round((percentile_cont(0.5) within group (
           order by extract(epoch from m.sent_at - m.first_changed_at)::double precision
       ))::numeric, 1) as median_seconds_to_sent,
       round((percentile_cont(0.5) within group (
           order by extract(epoch from m.delivered_at - m.first_changed_at)::double precision
       ))::numeric, 1) as median_seconds_to_delivered
  from rowbell.message as m
 group by 1, 2, 3;

comment on view   rowbell_report.delivery_by_day is 'What became of the messages of each day, by watch and channel. Reads the whole history.';
comment on column rowbell_report.delivery_by_day.day is 'Day of the first change, in the time zone of the session.';
comment on column rowbell_report.delivery_by_day.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.delivery_by_day.channel is 'The channel, as in the configuration.';
comment on column rowbell_report.delivery_by_day.messages is 'Messages in all.';
comment on column rowbell_report.delivery_by_day.changes is 'Changes that were folded into them; a fallback counts those of its first message again. See rowbell_report.funnel.';
comment on column rowbell_report.delivery_by_day.in_progress is 'Of them, those that still have to leave: waiting, scheduled, held or sending.';
comment on column rowbell_report.delivery_by_day.unconfirmed is 'Of them, those that the provider may have.';
comment on column rowbell_report.delivery_by_day.sent is 'Of them, those that the provider accepted, whatever became of them then.';
comment on column rowbell_report.delivery_by_day.delivered is 'Of them, those that reached the device.';
comment on column rowbell_report.delivery_by_day.read is 'Of them, those that were opened. Recipients may hide that.';
comment on column rowbell_report.delivery_by_day.failed is 'Of them, those that did not reach the recipient.';
comment on column rowbell_report.delivery_by_day.skipped is 'Of them, those that were not meant to leave.';
comment on column rowbell_report.delivery_by_day.median_seconds_to_sent is 'Half of those sent took at most so long from the first change, quiet period included.';
comment on column rowbell_report.delivery_by_day.median_seconds_to_delivered is 'Half of those delivered took at most so long from the first change.';


-- From changed rows to readers. A net change is a message with all that stands in for it: it counts
-- once, on whatever channel it was sent.
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
comment on column rowbell_report.funnel.to_tell is 'Of them, those that were to be sent: not skipped, or sent on another channel.';
comment on column rowbell_report.funnel.sent is 'Of them, those that a provider accepted, on any channel.';
comment on column rowbell_report.funnel.delivered is 'Of them, those that are known to have reached the device. Channels other than WhatsApp report no delivery.';
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
       -- Clocks of two machines: nothing takes less than no time.
       values ('1 first change to sent', extract(epoch from m.sent_at - least(m.sent_at, m.first_changed_at))::double precision),
              ('2 last change to sent', extract(epoch from m.sent_at - least(m.sent_at, m.last_changed_at))::double precision),
              ('3 sent to delivered', extract(epoch from m.delivered_at - least(m.delivered_at, m.sent_at))::double precision),
              ('4 delivered to read', extract(epoch from m.read_at - least(m.read_at, m.delivered_at))::double precision)
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


-- Who must not be written to.
create view rowbell_report.opt_outs as
select o.phone, o.since, o.source::text as source, o.reason, nullif(o.scope, '') as watch, o.origin,
       rowbell.keyed_hash(o.phone, (select k.key from rowbell.hash_key as k)) as phone_hash
  from rowbell.opt_out as o;

comment on view   rowbell_report.opt_outs is 'Phones that must not be written to on WhatsApp.';
comment on column rowbell_report.opt_outs.phone is 'International digits without plus sign.';
comment on column rowbell_report.opt_outs.since is 'Since when.';
comment on column rowbell_report.opt_outs.source is 'Who requested it: inbound (the customer), operator, import or provider.';
comment on column rowbell_report.opt_outs.reason is 'Why, in words.';
comment on column rowbell_report.opt_outs.watch is 'The watch that the phone must not be told of; null: of nothing.';
comment on column rowbell_report.opt_outs.origin is 'From where it came: the channel that it was written on, the file that was imported, or who typed the command; null where that is not known.';
comment on column rowbell_report.opt_outs.phone_hash is 'Stands for the phone; see message_status.';


-- Who opted out and in, and when.
create view rowbell_report.consent as
select e.consent_event_id as consent_id,
       e.phone,
       nullif(e.scope, '') as watch,
       case when e.is_opt_out then 'opted_out' else 'opted_in' end as event,
       e.happened_at,
       e.source::text as source,
       e.origin,
       e.reason,
       e.recorded_at,
       e.recorded_by,
       not exists (
           select
             from rowbell.consent_event as later
            where later.phone = e.phone and later.scope = e.scope
              and later.consent_event_id > e.consent_event_id
       ) as is_latest,
       rowbell.keyed_hash(e.phone, (select k.key from rowbell.hash_key as k)) as phone_hash
  from rowbell.consent_event as e;

comment on view   rowbell_report.consent is 'Each time that a phone opted out or in: order by consent_id. Fast when filtered by phone. Consent that stands in your own tables (opted_in of the recipient query) is not here.';
comment on column rowbell_report.consent.consent_id is 'Order in which they were recorded.';
comment on column rowbell_report.consent.phone is 'International digits without plus sign.';
comment on column rowbell_report.consent.watch is 'The watch that it is about; null: all of them.';
comment on column rowbell_report.consent.event is 'opted_out or opted_in.';
comment on column rowbell_report.consent.happened_at is 'When it was requested.';
comment on column rowbell_report.consent.source is 'Who requested it: inbound (the customer), operator, import or provider.';
comment on column rowbell_report.consent.origin is 'From where it came: the channel that it was written on, the file that was imported, or who typed the command; null where that is not known.';
comment on column rowbell_report.consent.reason is 'Why, in words.';
comment on column rowbell_report.consent.recorded_at is 'When it was recorded.';
comment on column rowbell_report.consent.recorded_by is 'Database user who recorded it.';
comment on column rowbell_report.consent.is_latest is 'True: it holds now, for this phone and this watch.';
comment on column rowbell_report.consent.phone_hash is 'Stands for the phone; see message_status.';
