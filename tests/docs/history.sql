-- A small known history, whose figures docs/SQL.md shows.
--
-- 17: read, and changed again. 18: not on WhatsApp, told by text. 19: nothing to tell. 20: unconfirmed.
-- 21: of a dry run. 22: failed by one receipt, delivered by the next.
update rowbell.hash_key set key = 'known';

insert into rowbell.message (
    message_id, watch, entity_key, state, reason, reason_text, operation, change_count,
    first_changed_at, last_changed_at, old_row, new_row, channel, template, language,
    recipient_name, recipient_phone, summary, parameters,
    due_at, attempt_count, provider_message_id, sent_at, delivered_at, read_at, finished_at,
    fallback_of, created_at, updated_at, updated_by
) overriding system value values
(1, 'home_delivery', '17', 'read', null, null, 'update', 3,
    '2026-06-24 09:00:00Z', '2026-06-24 09:00:10Z',
    '{"id": 17, "status": "planned"}', '{"id": 17, "status": "packed"}', 'main', 'service_change', 'en',
    'Maria', '12025550143', 'Status: packed.', '["Maria", "home delivery", "Status: packed."]',
    null, 2, 'p-1', '2026-06-24 09:00:40Z', '2026-06-24 09:00:42Z', '2026-06-24 09:05:42Z', null,
    null, '2026-06-24 09:00:11Z', '2026-06-24 09:05:42Z', 'docs'),
(2, 'home_delivery', '18', 'failed', 'undeliverable', '131026: Message undeliverable', 'update', 1,
    '2026-06-24 09:10:00Z', '2026-06-24 09:10:00Z',
    '{"id": 18, "status": "planned"}', '{"id": 18, "status": "packed"}', 'main', 'service_change', 'en',
    'John', '12025550144', 'Status: packed.', '["John", "home delivery", "Status: packed."]',
    null, 1, 'p-2', '2026-06-24 09:10:20Z', null, null, '2026-06-24 09:10:25Z',
    null, '2026-06-24 09:10:00Z', '2026-06-24 09:10:25Z', 'docs'),
(3, 'home_delivery', '19', 'skipped', 'no_net_change', null, 'update', 2,
    '2026-06-24 09:20:00Z', '2026-06-24 09:20:05Z',
    '{"id": 19, "status": "planned"}', '{"id": 19, "status": "planned"}', 'main', null, null,
    null, null, null, null,
    null, 0, null, null, null, null, '2026-06-24 09:20:25Z',
    null, '2026-06-24 09:20:00Z', '2026-06-24 09:20:25Z', 'docs'),
(4, 'home_delivery', '20', 'unconfirmed', null, 'timed out', 'update', 1,
    '2026-06-24 09:30:00Z', '2026-06-24 09:30:00Z',
    '{"id": 20, "status": "planned"}', '{"id": 20, "status": "packed"}', 'main', 'service_change', 'en',
    'Ann', '12025550145', 'Status: packed.', '["Ann", "home delivery", "Status: packed."]',
    null, 1, null, null, null, null, null,
    null, '2026-06-24 09:30:00Z', '2026-06-24 09:30:50Z', 'docs'),
(5, 'home_delivery', '17', 'scheduled', null, 'an earlier message of the entity is being sent', 'update', 1,
    '2026-06-24 09:40:00Z', '2026-06-24 09:40:00Z',
    '{"id": 17, "status": "packed"}', '{"id": 17, "status": "on_the_way"}', 'main', null, null,
    null, null, null, null,
    '2026-06-24 09:41:00Z', 0, null, null, null, null, null,
    null, '2026-06-24 09:40:00Z', '2026-06-24 09:40:00Z', 'docs'),
(6, 'home_delivery', '18', 'sent', null, null, 'update', 1,
    '2026-06-24 09:10:00Z', '2026-06-24 09:10:00Z',
    '{"id": 18, "status": "planned"}', '{"id": 18, "status": "packed"}', 'sms', null, 'en',
    'John', '12025550144', 'Status: packed.', '["John", "home delivery", "Status: packed."]',
    null, 1, 'sms-1', '2026-06-24 09:10:40Z', null, null, null,
    2, '2026-06-24 09:10:30Z', '2026-06-24 09:10:40Z', 'docs'),
(7, 'home_delivery', '21', 'skipped', 'dry_run', 'recorded instead of posted', 'update', 1,
    '2026-06-25 08:00:00Z', '2026-06-25 08:00:00Z',
    '{"id": 21, "status": "planned"}', '{"id": 21, "status": "packed"}', 'main', 'service_change', 'en',
    'Eve', '12025550146', 'Status: packed.', '["Eve", "home delivery", "Status: packed."]',
    null, 1, null, null, null, null, '2026-06-25 08:00:20Z',
    null, '2026-06-25 08:00:00Z', '2026-06-25 08:00:20Z', 'docs'),
(8, 'home_delivery', '22', 'delivered', null, null, 'update', 1,
    '2026-06-25 08:10:00Z', '2026-06-25 08:10:00Z',
    '{"id": 22, "status": "planned"}', '{"id": 22, "status": "packed"}', 'main', 'service_change', 'en',
    'Bob', '12025550147', 'Status: packed.', '["Bob", "home delivery", "Status: packed."]',
    null, 1, 'p-8', '2026-06-25 08:10:20Z', '2026-06-25 08:12:20Z', null, null,
    null, '2026-06-25 08:10:00Z', '2026-06-25 08:12:20Z', 'docs');

insert into rowbell.queue (message_id, channel, watch, entity_key, state, due_at) values
(4, 'main', 'home_delivery', '20', 'unconfirmed', '2026-06-24 09:45:50Z'),
(5, 'main', 'home_delivery', '17', 'open', '2026-06-24 09:41:00Z');

insert into rowbell.attempt (
    message_id, number, result, started_at, finished_at, http_status, error_class, error_code, error_text,
    provider_message_id
) values
(1, 1, 'refused', '2026-06-24 09:00:30Z', '2026-06-24 09:00:31Z', 429, 'slow', 130429, 'Rate limit hit', null),
(1, 2, 'accepted', '2026-06-24 09:00:39Z', '2026-06-24 09:00:40Z', 201, null, null, null, 'p-1'),
(2, 1, 'accepted', '2026-06-24 09:10:19Z', '2026-06-24 09:10:20Z', 201, null, null, null, 'p-2'),
(4, 1, 'unknown', '2026-06-24 09:30:20Z', '2026-06-24 09:30:50Z', null, null, null, 'timed out', null),
(6, 1, 'accepted', '2026-06-24 09:10:39Z', '2026-06-24 09:10:40Z', 202, null, null, null, 'sms-1'),
(7, 1, 'dry_run', '2026-06-25 08:00:20Z', '2026-06-25 08:00:20Z', null, null, null, null, null),
(8, 1, 'accepted', '2026-06-25 08:10:19Z', '2026-06-25 08:10:20Z', 201, null, null, null, 'p-8');

insert into rowbell.receipt (
    channel, provider_message_id, status, error_code, error_text, occurred_at, received_at, source
) values
('main', 'p-1', 'delivered', null, null, '2026-06-24 09:00:42Z', '2026-06-24 09:00:43Z', 'webhook'),
('main', 'p-1', 'read', null, null, '2026-06-24 09:05:42Z', '2026-06-24 09:05:43Z', 'webhook'),
('main', 'p-1', 'read', null, null, '2026-06-24 09:05:42Z', '2026-06-24 09:05:49Z', 'webhook'),
('main', 'p-2', 'failed', 131026, 'Message undeliverable', null, '2026-06-24 09:10:25Z', 'webhook'),
('main', 'p-8', 'failed', 131026, 'Message undeliverable', '2026-06-25 08:11:20Z', '2026-06-25 08:11:21Z', 'webhook'),
('main', 'p-8', 'delivered', null, null, '2026-06-25 08:12:20Z', '2026-06-25 08:12:21Z', 'poll');

update rowbell.message set in_quiet_hours = true where message_id = 8;

-- What WhatsApp says of the price, and what the site pays.
update rowbell.receipt
   set (price_category, pricing_model, is_billable) = ('utility', 'PMP', true)
 where channel = 'main' and status in ('delivered', 'read');
update rowbell.message
   set recipient_country = case recipient_phone when '12025550147' then 'CA' else 'US' end
 where recipient_phone is not null;
insert into rowbell.price (channel, country, category, valid_from, price, currency) values
('main', '*', 'utility', '2026-01-01', 0.0140, 'EUR'),
('main', 'CA', 'utility', '2026-06-25', 0.0170, 'EUR'),
('sms', 'US', '*', '2026-01-01', 0.0750, 'EUR');

insert into rowbell.change (watch, entity_key, operation, old_row, new_row, changed_at, changed_by) values
('home_delivery', '17', 'update', '{"id": 17, "status": "on_the_way"}', '{"id": 17, "status": null}',
    '2026-06-24 09:40:30Z', 'backoffice');

insert into rowbell.opt_out (phone, since, reason, source) values
('12025550199', '2026-06-20 08:00Z', 'STOP', 'inbound'),
('12025550144', '2026-06-24 10:00Z', 'no more', 'inbound');

insert into rowbell.reconcile_lookup (message_id, number, asked_at, method, found) values
(4, 1, '2026-06-24 09:31:00Z', 'list', 'no such message in the provider''s list');

insert into rowbell.last_told (watch, entity_key, recipient_key, message_id, attempt, first_message_id, status, told_at, row)
select m.watch, m.entity_key, m.recipient_phone, m.message_id, m.attempt_count, m.message_id,
       (case m.state when 'sent' then 'accepted' when 'unconfirmed' then 'unconfirmed' else 'arrived' end)::rowbell.told_status,
       m.created_at, m.new_row
  from rowbell.message as m
 where m.state in ('sent', 'unconfirmed', 'delivered', 'read') and m.recipient_phone is not null;

insert into rowbell.person_act (acted_at, decided_by, way, kind, watch, hold_id, message_id, messages, reason) values
('2026-06-24 11:00:00Z', 'Olga (page)', 'page', 'approved', 'home_delivery', 7, null, 120, 'checked with Ana'),
('2026-06-24 11:05:00Z', 'Ana (page)', 'page', 'shown', 'home_delivery', null, 2, 1, null);

insert into rowbell.person_act (acted_at, decided_by, os_user, way, kind, watch, hold_id, messages, reason) values
('2026-06-24 11:10:00Z', 'crm', 'ana', 'command', 'discarded', 'home_delivery', 8, 31, 'a mistake');

update rowbell.message
   set changed_by = case when message_id in (2, 6, 8) then '{import (psql)}' else '{ana (crm)}' end::text[];

insert into rowbell.outcome_call (message_id, watch, place, state, stored_at, due_at, attempt_count, last_error) values
(6, 'home_delivery', 0, 'sent', '2026-06-24 09:10:40Z', '2026-06-24 09:13:20Z', 3, 'permission denied for table delivery (SQLSTATE 42501)');

insert into rowbell.outgoing_webhook (endpoint, outcomes, failed_in_a_row, opened_at, next_try_at, pause_seconds,
                                      last_delivered_at, last_failed_at, last_error) values
('crm', '{delivered,read,failed}', 5, '2026-06-24 09:10:55Z', '2026-06-24 09:11:05Z', 10, '2026-06-24 09:05:43Z',
 '2026-06-24 09:10:55Z', 'HTTP 503: it failed');
insert into rowbell.outgoing_delivery (endpoint, message_id, watch, outcome, stored_at, state, due_at, attempt_count,
                                       http_status, last_error, ended_at) values
('crm', 1, 'home_delivery', 'delivered', '2026-06-24 09:00:42Z', 'delivered', null, 1, 204, null, '2026-06-24 09:00:42Z'),
('crm', 1, 'home_delivery', 'read', '2026-06-24 09:05:42Z', 'delivered', null, 1, 204, null, '2026-06-24 09:05:43Z'),
('crm', 6, 'home_delivery', 'sent', '2026-06-24 09:10:40Z', 'due', '2026-06-24 09:11:05Z', 2, 503, 'HTTP 503: it failed', null);

insert into rowbell.reply (channel, provider_reply_id, context_id, message_id, kind, phone, body, payload, written_at,
                           received_at) values
('main', 'r-1', 'p-1', 1, 'button', '12025550143', 'Fine', 'CONFIRM', '2026-06-24 09:07:00Z', '2026-06-24 09:07:01Z'),
('main', 'r-2', 'p-1', 1, 'text', '12025550143', 'Please ring twice', null, '2026-06-24 09:08:00Z', '2026-06-24 09:08:01Z');

insert into rowbell.alert (kind, subject, what, began_at, told_at, absent_since, over_at, over_told_at) values
('channel_stopped', 'channel main', 'errors have stopped channel main: 190: Access token has expired', '2026-06-24 08:00:10Z',
 '2026-06-24 08:00:11Z', '2026-06-24 08:20:10Z', '2026-06-24 08:25:10Z', '2026-06-24 08:25:11Z');
