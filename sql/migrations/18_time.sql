-- 18_time: by whose clock a message was written, and messages of a dry run.

alter table rowbell.message add column time_zone_source text;
comment on column rowbell.message.time_zone_source is 'Who said recipient_time_zone: row, recipient, watch or configuration; and what was passed over because it is no time zone.';


-- A dry run goes all the way, and what would have been posted is recorded instead. Such a message was never
-- sent: it counts as told to nobody, and in no figure as sent.
alter type rowbell.message_reason add value 'dry_run' after 'not_needed';
comment on type rowbell.message_reason is
    'Why a message failed or was skipped. bad_email: the channel needs a mail address, and it is missing or not valid. not_needed: a fallback whose first message arrived after all. dry_run: recorded instead of sent.';

alter type rowbell.attempt_result add value 'dry_run';
comment on type rowbell.attempt_result is 'What is known of one try. Accepted is not delivered. dry_run: it was recorded instead of posted.';
comment on column rowbell.attempt.result is 'accepted, refused, not_sent, unknown or dry_run; null while the request is under way.';


create or replace view rowbell_report.message_status as
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
       m.read_at - m.delivered_at as delivered_to_read,
       m.time_zone_source,
       coalesce(m.reason::text = 'dry_run', false) as is_dry_run
  from rowbell.message as m
  -- The latest attempt that did not go well. Its key leads from the message to it.
  left join lateral (
       select a.error_code, a.error_class, a.error_text, a.finished_at
         from rowbell.attempt as a
        where a.message_id = m.message_id and a.result::text not in ('accepted', 'dry_run')
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

comment on column rowbell_report.message_status.reason is 'Why it failed (rejected, undeliverable, exhausted, expired, unwritable) or was skipped (no_net_change, opted_out, no_recipient, bad_phone, bad_email, muted, superseded, stale, discarded, not_needed, dry_run); null in every other state.';
comment on column rowbell_report.message_status.time_zone_source is 'Who said recipient_time_zone: row, recipient, watch or configuration; and what was passed over because it is no time zone.';
comment on column rowbell_report.message_status.is_dry_run is 'True: it passed every gate, was put into words and recorded instead of sent. The recipient knows nothing of it.';


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
comment on column rowbell_report.dry_runs.recipient_name is 'Who would have been told.';
comment on column rowbell_report.dry_runs.recipient_phone is 'Phone of the recipient: international digits without plus sign.';
comment on column rowbell_report.dry_runs.recipient_locale is 'Locale in which dates and numbers were written.';
comment on column rowbell_report.dry_runs.recipient_time_zone is 'Time zone in which times were written.';
comment on column rowbell_report.dry_runs.summary is 'What changed, in the words that the recipient would have read.';
comment on column rowbell_report.dry_runs.parameters is 'The body variables of the template, in order: a JSON array of texts.';
comment on column rowbell_report.dry_runs.change_count is 'How many changes of the row it tells of.';
comment on column rowbell_report.dry_runs.first_changed_at is 'When the first of them was made.';
comment on column rowbell_report.dry_runs.recorded_at is 'When it would have been sent.';
