//! What the figures say of rows that we know, and what they cost where there are many.

use tokio_postgres::Client;

use super::ground::{Database, HISTORY, SHOP, fields, lines};

/// Entity 21 was told by text, 22 by mail after the text failed; nobody knows about 23.
const MORE: &str = r#"
insert into rowbell.message (
    message_id, watch, entity_key, state, reason, reason_text, operation, change_count,
    first_changed_at, last_changed_at, old_row, new_row, channel, summary, parameters, attempt_count,
    provider_message_id, sent_at, delivered_at, finished_at, fallback_of, created_at, updated_at, updated_by
) overriding system value values
(6, 'delivery', '21', 'failed', 'undeliverable', 'not on WhatsApp', 'update', 2,
    '2026-06-24 10:00:00Z', '2026-06-24 10:00:05Z', '{"id": 21}', '{"id": 21}', 'main', 'Packed.', '["Packed."]', 1,
    null, null, null, '2026-06-24 10:00:26Z', null, '2026-06-24 10:00:00Z', '2026-06-24 10:00:26Z', 'settle_move'),
(7, 'delivery', '21', 'sent', null, null, 'update', 2,
    '2026-06-24 10:00:00Z', '2026-06-24 10:00:05Z', '{"id": 21}', '{"id": 21}', 'sms', 'Packed.', '["Packed."]', 1,
    'sms-1', '2026-06-24 10:00:40Z', null, null, 6, '2026-06-24 10:00:30Z', '2026-06-24 10:00:40Z', 'settle_accepted'),
(8, 'delivery', '22', 'delivered', null, null, 'update', 1,
    '2026-06-24 10:10:00Z', '2026-06-24 10:10:00Z', '{"id": 22}', '{"id": 22}', 'main', 'Packed.', '["Packed."]', 1,
    'p-8', '2026-06-24 10:10:20Z', '2026-06-24 13:00:20Z', null, null, '2026-06-24 10:10:00Z', '2026-06-24 13:00:20Z', 'settle_move'),
(9, 'delivery', '22', 'failed', 'undeliverable', '21614: no mobile number', 'update', 1,
    '2026-06-24 10:10:00Z', '2026-06-24 10:10:00Z', '{"id": 22}', '{"id": 22}', 'sms', 'Packed.', '["Packed."]', 1,
    null, null, null, '2026-06-24 12:10:25Z', 8, '2026-06-24 12:10:20Z', '2026-06-24 12:10:25Z', 'settle_move'),
(10, 'delivery', '22', 'sent', null, null, 'update', 1,
    '2026-06-24 10:10:00Z', '2026-06-24 10:10:00Z', '{"id": 22}', '{"id": 22}', 'mail', 'Packed.', '["Packed."]', 1,
    'm-1', '2026-06-24 12:10:40Z', null, null, 8, '2026-06-24 12:10:30Z', '2026-06-24 12:10:40Z', 'settle_accepted'),
(11, 'delivery', '23', 'unconfirmed', null, 'timed out', 'update', 1,
    '2026-06-24 11:00:00Z', '2026-06-24 11:00:00Z', '{"id": 23}', '{"id": 23}', 'main', 'Packed.', '["Packed."]', 1,
    null, null, null, null, null, '2026-06-24 11:00:00Z', '2026-06-24 11:00:50Z', 'settle_move');
insert into rowbell.attempt (message_id, number, result, started_at, finished_at, error_class, error_text) values
(6, 1, 'refused', '2026-06-24 10:00:25Z', '2026-06-24 10:00:26Z', 'recipient', 'not on WhatsApp'),
(9, 1, 'refused', '2026-06-24 12:10:24Z', '2026-06-24 12:10:25Z', 'recipient', '21614: no mobile number'),
(11, 1, 'unknown', '2026-06-24 11:00:20Z', '2026-06-24 11:00:50Z', null, 'timed out');
insert into rowbell.opt_out (phone, source, since, reason) values ('12025550199', 'inbound', '2026-06-20 08:00Z', 'STOP');
"#;

async fn history() -> (Database, Client) {
    let (database, client) = Database::migrated().await;
    for sql in [SHOP, HISTORY, MORE] {
        client.batch_execute(sql).await.unwrap();
    }
    (database, client)
}

#[tokio::test]
async fn the_funnel_counts_each_net_change_once_on_whatever_channel_it_was_told() {
    let (_database, client) = history().await;
    let funnel = "select * from rowbell_report.funnel";
    insta::assert_snapshot!(fields(&client, funnel).await, @r"
    day: 2026-06-24
    watch: delivery
    changes: 12
    net_changes: 8
    to_tell: 7
    sent: 4
    delivered: 2
    read: 1
    sent_by_fallback: 2
    ");
}

#[tokio::test]
async fn latency_has_percentiles_for_each_step() {
    let (_database, client) = history().await;
    let latency =
        "select channel, step, messages, p50_seconds, p90_seconds, p99_seconds, longest_seconds
                     from rowbell_report.latency order by channel, step";
    insta::assert_snapshot!(lines(&client, latency).await, @r"
    mail | 1 first change to sent | 1 | 7240.0 | 7240.0 | 7240.0 | 7240.0
    mail | 2 last change to sent | 1 | 7240.0 | 7240.0 | 7240.0 | 7240.0
    main | 1 first change to sent | 3 | 20.0 | 36.0 | 39.6 | 40.0
    main | 2 last change to sent | 3 | 20.0 | 28.0 | 29.8 | 30.0
    main | 3 sent to delivered | 2 | 5101.0 | 9180.2 | 10098.0 | 10200.0
    main | 4 delivered to read | 1 | 300.0 | 300.0 | 300.0 | 300.0
    sms | 1 first change to sent | 1 | 40.0 | 40.0 | 40.0 | 40.0
    sms | 2 last change to sent | 1 | 35.0 | 35.0 | 35.0 | 35.0
    ");
}

#[tokio::test]
async fn failure_reasons_are_counted_with_the_last_one_as_an_example() {
    let (_database, client) = history().await;
    let reasons = "select * from rowbell_report.failure_reasons order by last_message_id";
    insta::assert_snapshot!(lines(&client, reasons).await, @r"
    delivery | main | undeliverable |  | 131026 | 1 | 2026-06-24 09:10:25+00 | 2026-06-24 09:10:25+00 | 2 | 18 | 131026: Message undeliverable
    delivery | main | undeliverable | recipient |  | 1 | 2026-06-24 10:00:26+00 | 2026-06-24 10:00:26+00 | 6 | 21 | not on WhatsApp
    delivery | sms | undeliverable | recipient |  | 1 | 2026-06-24 12:10:25+00 | 2026-06-24 12:10:25+00 | 9 | 22 | 21614: no mobile number
    ");
}

#[tokio::test]
async fn unconfirmed_messages_say_what_they_wait_for() {
    let (_database, client) = history().await;
    let doubt = "select * from rowbell_report.unconfirmed order by message_id";
    insta::assert_snapshot!(lines(&client, doubt).await, @r"
    4 | delivery | 20 | main | 1 | 2026-06-24 09:30:20+00 | timed out | evidence | 2026-06-24 09:45:50+00 | Status: packed. | 2026-06-24 09:30:00+00
    11 | delivery | 23 | main | 1 | 2026-06-24 11:00:20+00 | timed out | a person |  | Packed. | 2026-06-24 11:00:00+00
    ");
}

#[tokio::test]
async fn fallbacks_say_what_they_stand_in_for() {
    let (_database, client) = history().await;
    let fallbacks = "select message_id, first_message_id, first_channel, first_state, first_reason, place, channel, state, reason,
                            first_change_to_sent, first_delivered_at
                       from rowbell_report.fallbacks order by message_id";
    insta::assert_snapshot!(lines(&client, fallbacks).await, @r"
    7 | 6 | main | failed | undeliverable | 1 | sms | sent |  | 00:00:40 |
    9 | 8 | main | delivered |  | 1 | sms | failed | undeliverable |  | 2026-06-24 13:00:20+00
    10 | 8 | main | delivered |  | 2 | mail | sent |  | 02:00:40 | 2026-06-24 13:00:20+00
    ");
}

#[tokio::test]
async fn opt_outs_say_who_and_since_when() {
    let (_database, client) = history().await;
    insta::assert_snapshot!(lines(&client, "select * from rowbell_report.opt_outs").await, @r"
    12025550199 | 2026-06-20 08:00:00+00 | inbound | STOP |  |  | 1cf7752682b521ff
    ");
}

/// A history of so many messages, one in ten failed with a fallback.
async fn many(client: &Client, from: i64, to: i64) {
    let fill = format!(
        "insert into rowbell.message (
             message_id, watch, entity_key, state, reason, operation, first_changed_at, last_changed_at, channel,
             parameters, provider_message_id, sent_at, delivered_at, finished_at, fallback_of, updated_by
         ) overriding system value
         select i, 'delivery', i::text, (case i % 10 when 0 then 'failed' else 'delivered' end)::rowbell.message_state,
                (case i % 10 when 0 then 'undeliverable' end)::rowbell.message_reason, 'update',
                now() - i * interval '1 s', now() - i * interval '1 s', 'main', '[]',
                case when i % 10 > 0 then 'p' || i end, case when i % 10 > 0 then now() end,
                case when i % 10 > 0 then now() end, case when i % 10 = 0 then now() end,
                case when i % 10 = 1 and i > 10 then i - 1 end, 'test'
           from generate_series({from}, {to}) as i;
         insert into rowbell.attempt (message_id, number, result, started_at, finished_at, error_class, provider_message_id)
         select i, 1, (case i % 10 when 0 then 'refused' else 'accepted' end)::rowbell.attempt_result, now(), now(),
                'recipient', case when i % 10 > 0 then 'p' || i end
           from generate_series({from}, {to}) as i;
         analyze rowbell.message; analyze rowbell.attempt"
    );
    client.batch_execute(&fill).await.unwrap();
}

/// What the server expects a view to cost.
async fn cost(client: &Client, view: &str) -> f64 {
    let plan = lines(client, &format!("explain select * from rowbell_report.{view}")).await;
    let total = plan.lines().next().unwrap().split("..").nth(1).unwrap();
    total.split(' ').next().unwrap().parse().unwrap()
}

/// Ten times the history costs some ten times as much, not a hundred times.
#[tokio::test]
async fn no_figure_costs_more_than_the_history_is_long() {
    let (_database, client) = Database::migrated().await;
    let views = [
        "funnel",
        "latency",
        "failure_reasons",
        "unconfirmed",
        "fallbacks",
        "failures",
        "delivery_by_day",
    ];
    many(&client, 1, 5_000).await;
    let mut few = Vec::new();
    for view in views {
        few.push(cost(&client, view).await);
    }
    many(&client, 5_001, 50_000).await;
    for (view, few) in views.into_iter().zip(few) {
        let ratio = cost(&client, view).await / few;
        assert!(ratio < 25.0, "{view}: ten times as many messages cost {ratio} times as much");
    }
}
