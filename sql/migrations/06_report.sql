-- 06_report: the views for analysts. What stands here is promised: columns are added, never renamed.
--
-- States, reasons and the like are texts here, so that no view depends on a type of the machine.
-- Times are timestamptz: "set time zone 'America/New_York'" moves them, and the days, to yours.
--
-- Cheap filters, because an index stands behind them: message_id; watch with entity_key. Everything
-- else reads the whole history: fine for a report, not for a dashboard that asks every second.
-- Names and phones are in message_status and failures only.


-- One row per message: who is told what, and where it stands.
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
       coalesce(refusal.error_code, trouble.error_code) as last_error_code,
       case when refusal.receipt_id is null then trouble.error_class end as last_error_class,
       coalesce(refusal.error_text, trouble.error_text) as last_error_text,
       coalesce(refusal.happened_at, trouble.finished_at) as last_error_at,
       m.first_changed_at,
       m.last_changed_at,
       m.created_at,
       m.due_at,
       m.sent_at,
       m.delivered_at,
       m.read_at,
       m.finished_at,
       m.updated_at,
       m.sent_at - m.first_changed_at as first_change_to_sent,
       m.sent_at - m.last_changed_at as last_change_to_sent,
       m.delivered_at - m.first_changed_at as first_change_to_delivered,
       m.delivered_at - m.sent_at as sent_to_delivered,
       m.read_at - m.delivered_at as delivered_to_read
  from rowbell.message as m
  -- The latest attempt that did not go well. Its key leads from the message to it.
  left join lateral (
       select a.error_code, a.error_class, a.error_text, a.finished_at
         from rowbell.attempt as a
        where a.message_id = m.message_id and a.result <> 'accepted'
        order by a.number desc
        limit 1
  ) as trouble on true
  -- What WhatsApp said after the provider had accepted the message; later than any attempt.
  left join lateral (
       select r.receipt_id, r.error_code, r.error_text, coalesce(r.occurred_at, r.received_at) as happened_at
         from rowbell.receipt as r
        where r.provider_message_id = m.provider_message_id and r.status = 'failed'
        order by r.receipt_id desc
        limit 1
  ) as refusal on true;

comment on view   rowbell_report.message_status is 'One row per message: who is told what, and where it stands. Fast when filtered by message_id, or by watch and entity_key.';
comment on column rowbell_report.message_status.message_id is 'The message. Rises with the time at which it was opened.';
comment on column rowbell_report.message_status.watch is 'Name of the watch, as in the configuration.';
comment on column rowbell_report.message_status.entity_key is 'Primary key of the watched row, as text; parts of a composite key are joined by commas.';
comment on column rowbell_report.message_status.state is 'waiting, scheduled, held, sending, unconfirmed, sent, delivered, read, failed or skipped. Sent means accepted by the provider, not delivered.';
comment on column rowbell_report.message_status.reason is 'Why it failed (rejected, undeliverable, exhausted, expired, unwritable) or was skipped (no_net_change, opted_out, no_recipient, bad_phone, muted, superseded, stale, discarded); null in every other state.';
comment on column rowbell_report.message_status.reason_text is 'The same in words; also why a message waits.';
comment on column rowbell_report.message_status.operation is 'What happened to the row in the end: insert, update or delete.';
comment on column rowbell_report.message_status.change_count is 'How many changes of the row this one message tells of.';
comment on column rowbell_report.message_status.old_row is 'The row before the first of them: watched, key and recipient columns.';
comment on column rowbell_report.message_status.new_row is 'The row as it was told; before it is told, as it was after the last change.';
comment on column rowbell_report.message_status.channel is 'The channel that sends it, as in the configuration.';
comment on column rowbell_report.message_status.template is 'The WhatsApp template that it was sent as.';
comment on column rowbell_report.message_status.language is 'Language code of the template.';
comment on column rowbell_report.message_status.recipient_name is 'Who is told. Null until the message is put into words.';
comment on column rowbell_report.message_status.recipient_phone is 'Phone of the recipient: international digits without plus sign.';
comment on column rowbell_report.message_status.recipient_locale is 'Locale in which dates and numbers were written.';
comment on column rowbell_report.message_status.recipient_time_zone is 'Time zone in which times were written.';
comment on column rowbell_report.message_status.summary is 'What changed, in the words that the recipient reads.';
comment on column rowbell_report.message_status.parameters is 'The body variables of the template, in order: a JSON array of texts.';
comment on column rowbell_report.message_status.attempt_count is 'How many attempts were begun.';
comment on column rowbell_report.message_status.provider_message_id is 'Id of the message at the provider, for questions to its support.';
comment on column rowbell_report.message_status.last_error_code is 'Error code of WhatsApp of the latest trouble, if there was any. A message may have arrived in spite of it: see state.';
comment on column rowbell_report.message_status.last_error_class is 'What rowbell made of that error: retry, slow, recipient, content, template, channel or later; null when a receipt told of it.';
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
comment on column rowbell_report.message_status.first_change_to_sent is 'How long the recipient was not told: from the first change to sent, quiet period included.';
comment on column rowbell_report.message_status.last_change_to_sent is 'From the last change to sent. Clocks of two machines: slightly negative is possible.';
comment on column rowbell_report.message_status.first_change_to_delivered is 'From the first change to delivered.';
comment on column rowbell_report.message_status.sent_to_delivered is 'From sent to delivered: the time of provider, network and device.';
comment on column rowbell_report.message_status.delivered_to_read is 'From delivered to read: the time of the recipient.';


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
       'attempt ' || a.number || ' on channel ' || m.channel
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
select m.watch, m.entity_key, m.message_id, coalesce(r.occurred_at, r.received_at), 6, 'receipt'::text,
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
comment on column rowbell_report.change_story.message_id is 'The message that tells of it; null for a change that is not folded yet.';
comment on column rowbell_report.change_story.happened_at is 'When it happened. Of a receipt: as the provider says.';
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
comment on column rowbell_report.failures.template is 'The WhatsApp template; null when it failed before it was put into words.';
comment on column rowbell_report.failures.language is 'Language code of the template.';
comment on column rowbell_report.failures.recipient_name is 'Who was not reached.';
comment on column rowbell_report.failures.recipient_phone is 'Phone of the recipient: international digits without plus sign.';
comment on column rowbell_report.failures.reason is 'rejected: the message was refused for good. undeliverable: this recipient cannot be reached. exhausted: every attempt failed. expired: it was too late. unwritable: no words could be made.';
comment on column rowbell_report.failures.reason_text is 'The same in words.';
comment on column rowbell_report.failures.error_code is 'Error code of WhatsApp, where there was one.';
comment on column rowbell_report.failures.error_class is 'What rowbell made of it: retry, slow, recipient, content, template, channel or later; null when a receipt told of it.';
comment on column rowbell_report.failures.error_text is 'Text of the error.';
comment on column rowbell_report.failures.attempt_count is 'How many attempts were begun.';
comment on column rowbell_report.failures.provider_message_id is 'Id of the message at the provider, if it was accepted at first.';
comment on column rowbell_report.failures.summary is 'What the recipient does not know.';
comment on column rowbell_report.failures.first_changed_at is 'When the first of the changes was made.';
comment on column rowbell_report.failures.failed_at is 'When it failed.';


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
comment on column rowbell_report.delivery_by_day.changes is 'Changes that were folded into them.';
comment on column rowbell_report.delivery_by_day.in_progress is 'Of them, those that still have to leave: waiting, scheduled, held or sending.';
comment on column rowbell_report.delivery_by_day.unconfirmed is 'Of them, those that the provider may have.';
comment on column rowbell_report.delivery_by_day.sent is 'Of them, those that the provider accepted, whatever became of them then.';
comment on column rowbell_report.delivery_by_day.delivered is 'Of them, those that reached the device.';
comment on column rowbell_report.delivery_by_day.read is 'Of them, those that were opened. Recipients may hide that.';
comment on column rowbell_report.delivery_by_day.failed is 'Of them, those that did not reach the recipient.';
comment on column rowbell_report.delivery_by_day.skipped is 'Of them, those that were not meant to leave.';
comment on column rowbell_report.delivery_by_day.median_seconds_to_sent is 'Half of those sent took at most so long from the first change, quiet period included.';
comment on column rowbell_report.delivery_by_day.median_seconds_to_delivered is 'Half of those delivered took at most so long from the first change.';
