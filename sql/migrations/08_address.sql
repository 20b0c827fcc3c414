-- 08_address: recipients are reached by other addresses than a phone, and over more than one channel.

alter type rowbell.message_reason add value 'bad_email' after 'bad_phone';
alter type rowbell.message_reason add value 'not_needed' after 'discarded';
comment on type rowbell.message_reason is
    'Why a message failed or was skipped. bad_email: the channel needs a mail address, and it is missing or not valid. not_needed: a fallback whose first message arrived after all.';

comment on column rowbell.message.recipient_phone is 'Phone of the recipient: international digits without plus sign; null when there is none and the channel needs none.';
comment on column rowbell.attempt.http_status is 'HTTP status of the answer, if one came; null for mail.';
comment on column rowbell_report.message_status.reason is 'Why it failed (rejected, undeliverable, exhausted, expired, unwritable) or was skipped (no_net_change, opted_out, no_recipient, bad_phone, bad_email, muted, superseded, stale, discarded, not_needed); null in every other state.';
comment on column rowbell_report.message_status.template is 'The template that it was sent as: its name at WhatsApp; on other channels, where it has none, its name in the configuration.';
