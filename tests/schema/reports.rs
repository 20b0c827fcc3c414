//! What the reports say of rows that we know.

use jiff::Timestamp;
use rowbell::cli::inspect::{explain, status};
use rowbell::postgres::operations::status_report;
use tokio_postgres::Client;

use super::ground::{Database, HISTORY, SHOP, config, fields, lines};

async fn history() -> (Database, Client) {
    let (database, client) = Database::migrated().await;
    client.batch_execute(SHOP).await.unwrap();
    client.batch_execute(HISTORY).await.unwrap();
    (database, client)
}

fn now() -> Timestamp {
    "2026-06-24T09:44:00Z".parse().unwrap()
}

#[tokio::test]
async fn message_status_says_who_is_told_what_and_where_it_stands() {
    let (_database, client) = history().await;
    let one = "select * from rowbell_report.message_status where message_id = 1";
    insta::assert_snapshot!(fields(&client, one).await, @r#"
    message_id: 1
    watch: delivery
    entity_key: 17
    state: read
    operation: update
    change_count: 3
    old_row: {"id": 17, "status": "planned", "window_start": "2026-06-25T08:00:00+00:00"}
    new_row: {"id": 17, "status": "packed", "window_start": "2026-06-25T10:00:00+00:00"}
    channel: main
    template: service_change
    language: en
    recipient_name: Maria
    recipient_phone: 12025550143
    recipient_locale: en-US
    recipient_time_zone: America/New_York
    summary: New window: 10:00 AM.
    parameters: ["Maria", "home delivery", "New window: 10:00 AM."]
    attempt_count: 2
    provider_message_id: p-1
    last_error_code: 130429
    last_error_class: slow
    last_error_text: Rate limit hit
    last_error_at: 2026-06-24 09:00:31+00
    first_changed_at: 2026-06-24 09:00:00+00
    last_changed_at: 2026-06-24 09:00:10+00
    created_at: 2026-06-24 09:00:11+00
    sent_at: 2026-06-24 09:00:40+00
    delivered_at: 2026-06-24 09:00:42+00
    read_at: 2026-06-24 09:05:42+00
    updated_at: 2026-06-24 09:05:42+00
    first_change_to_sent: 00:00:40
    last_change_to_sent: 00:00:30
    first_change_to_delivered: 00:00:42
    sent_to_delivered: 00:00:02
    delivered_to_read: 00:05:00
    is_dry_run: f
    changed_by: {}
    phone_hash: 8234765e26804593
    entity_hash: d870d189e387fc2a
    changed_by_hash: {}
    in_quiet_hours: f
    "#);

    let all = "select message_id, entity_key, state, reason, attempt_count, last_error_code, last_error_class,
                      last_error_text, last_error_at, last_change_to_sent
                 from rowbell_report.message_status order by message_id";
    insta::assert_snapshot!(lines(&client, all).await, @r"
    1 | 17 | read |  | 2 | 130429 | slow | Rate limit hit | 2026-06-24 09:00:31+00 | 00:00:30
    2 | 18 | failed | undeliverable | 1 | 131026 |  | Message undeliverable | 2026-06-24 09:10:25+00 | 00:00:20
    3 | 19 | skipped | no_net_change | 0 |  |  |  |  |
    4 | 20 | unconfirmed |  | 1 |  |  | timed out | 2026-06-24 09:30:50+00 |
    5 | 17 | scheduled |  | 0 |  |  |  |  |
    ");
}

#[tokio::test]
async fn change_story_tells_an_entity_from_the_first_change_on() {
    let (_database, client) = history().await;
    let story = |key: &str| {
        format!(
            "select message_id, happened_at, event, detail from rowbell_report.change_story
              where watch = 'delivery' and entity_key = '{key}' order by happened_at, step"
        )
    };
    insta::assert_snapshot!(lines(&client, &story("17")).await, @r"
    1 | 2026-06-24 09:00:11+00 | message opened | update, 3 changes made from 2026-06-24 09:00:00+00 to 2026-06-24 09:00:10+00
    1 | 2026-06-24 09:00:30+00 | attempt begun | attempt 1 on channel main
    1 | 2026-06-24 09:00:31+00 | attempt ended | attempt 1: refused, HTTP 429, error 130429, Rate limit hit
    1 | 2026-06-24 09:00:39+00 | put into words | New window: 10:00 AM.
    1 | 2026-06-24 09:00:39+00 | attempt begun | attempt 2 on channel main
    1 | 2026-06-24 09:00:40+00 | attempt ended | attempt 2: accepted, HTTP 201
    1 | 2026-06-24 09:00:42+00 | receipt | delivered by poll
    1 | 2026-06-24 09:05:42+00 | receipt | read by webhook
    5 | 2026-06-24 09:40:00+00 | message opened | update, 1 change made from 2026-06-24 09:40:00+00 to 2026-06-24 09:40:00+00
     | 2026-06-24 09:40:30+00 | change captured | update by backoffice, not folded into a message yet
    ");
    insta::assert_snapshot!(lines(&client, &story("18")).await, @r"
    2 | 2026-06-24 09:10:00+00 | message opened | update, 1 change made from 2026-06-24 09:10:00+00 to 2026-06-24 09:10:00+00
    2 | 2026-06-24 09:10:19+00 | put into words | Status: packed.
    2 | 2026-06-24 09:10:19+00 | attempt begun | attempt 1 on channel main
    2 | 2026-06-24 09:10:20+00 | attempt ended | attempt 1: accepted, HTTP 201
    2 | 2026-06-24 09:10:25+00 | receipt | failed by webhook, error 131026, Message undeliverable
    2 | 2026-06-24 09:10:25+00 | ended | failed: undeliverable, 131026: Message undeliverable
    ");
    insta::assert_snapshot!(lines(&client, &story("19")).await, @r"
    3 | 2026-06-24 09:20:00+00 | message opened | update, 2 changes made from 2026-06-24 09:20:00+00 to 2026-06-24 09:20:05+00
    3 | 2026-06-24 09:20:25+00 | ended | skipped: no_net_change
    ");
}

#[tokio::test]
async fn failures_say_why() {
    let (_database, client) = history().await;
    insta::assert_snapshot!(fields(&client, "select * from rowbell_report.failures").await, @r"
    message_id: 2
    watch: delivery
    entity_key: 18
    channel: main
    template: service_change
    language: en
    recipient_name: John
    recipient_phone: 12025550144
    reason: undeliverable
    reason_text: 131026: Message undeliverable
    error_code: 131026
    error_text: Message undeliverable
    attempt_count: 1
    provider_message_id: p-2
    summary: Status: packed.
    first_changed_at: 2026-06-24 09:10:00+00
    failed_at: 2026-06-24 09:10:25+00
    ");
}

#[tokio::test]
async fn delivery_by_day_counts_by_the_day_of_the_reader() {
    let (_database, client) = history().await;
    let days = "select * from rowbell_report.delivery_by_day order by day";
    insta::assert_snapshot!(fields(&client, days).await, @r"
    day: 2026-06-24
    watch: delivery
    channel: main
    messages: 5
    changes: 8
    in_progress: 1
    unconfirmed: 1
    sent: 2
    delivered: 1
    read: 1
    failed: 1
    skipped: 1
    median_seconds_to_sent: 30.0
    median_seconds_to_delivered: 42.0
    ");
    client.batch_execute("set time zone 'Pacific/Auckland'").await.unwrap();
    let late = "update rowbell.message set first_changed_at = '2026-06-24 13:00:00Z', last_changed_at = '2026-06-24 13:00:00Z'
                 where message_id = 5";
    client.batch_execute(late).await.unwrap();
    let days = "select day, messages from rowbell_report.delivery_by_day order by day";
    insta::assert_snapshot!(lines(&client, days).await, @r"
    2026-06-24 | 4
    2026-06-25 | 1
    ");
}

#[tokio::test]
async fn status_shows_the_whole_installation() {
    let (_database, client) = history().await;
    let seen = status_report::status(&client, &config(), now()).await.unwrap();
    let text = status::as_text(&seen).replace(
        &format!("version {}", rowbell::postgres::schema::migrate::known_version()),
        "version [known]",
    );
    insta::assert_snapshot!(text, @r"
    schema     version [known]
    daemon     not connected
    doorbell   awake: writers need not ring

    WATCH     TABLE          TRIGGER  NOT FOLDED  OLDEST
    delivery  shop.delivery  missing  1           3 min

    CHANNEL  OPEN  HELD  LEASED  UNCONFIRMED  NEXT DUE   WAITS FOR  RATE  SENT BY  WEBHOOK  POLLING
    main     1     0     0       1            3 min ago  rate 1     80/s  –        off      not heard yet

    LAST 24 H    MESSAGES  REASONS
    scheduled    1
    unconfirmed  1
    read         1
    failed       1         undeliverable 1
    skipped      1         no_net_change 1

    Needs attention:
    - no daemon is connected to this database: start it (systemctl start rowbell), or see why it ended (journalctl -u rowbell)
    - watch delivery: shop.delivery has no trigger for it; run `rowbell watch`
    - watch delivery: changes have waited for 3 min to be folded; is the daemon running, and what does its log say of this watch?
    - channel main: a message has been due for 3 min; is the daemon running, or is the channel's rate too low?
    - channel main: 1 message is unconfirmed: whether the provider took it is not known, evidence is awaited
    - messages failed in the last 24 h: select * from rowbell_report.failures order by failed_at desc
    ");
}

#[tokio::test]
async fn status_counts_the_last_day_only() {
    let (_database, client) = history().await;
    let counted = |at: &'static str| {
        let client = &client;
        async move {
            let at: Timestamp = at.parse().unwrap();
            let outcomes = status_report::status(client, &config(), at).await.unwrap().outcomes;
            outcomes.iter().map(|outcome| outcome.messages).sum::<i64>()
        }
    };
    assert_eq!(counted("2026-06-24T10:00:00Z").await, 5);
    assert_eq!(counted("2026-06-25T09:00:10Z").await, 5);
    assert_eq!(counted("2026-06-25T09:10:00Z").await, 4);
    assert_eq!(counted("2026-06-25T09:10:01Z").await, 3);
    assert_eq!(counted("2026-06-25T09:40:01Z").await, 0);
    client.batch_execute("truncate rowbell.message").await.unwrap();
    assert_eq!(counted("2026-06-24T10:00:00Z").await, 0);
}

#[tokio::test]
async fn status_sees_a_daemon_that_is_connected() {
    let (database, client) = history().await;
    let name = "set application_name = 'rowbell'";
    client.batch_execute(name).await.unwrap();
    let sessions =
        async || status_report::status(&client, &config(), now()).await.unwrap().daemon.sessions;
    assert_eq!(sessions().await, 0, "not itself");
    let daemon = database.client().await;
    daemon.batch_execute(name).await.unwrap();
    assert_eq!(sessions().await, 1);
}

async fn explained(client: &Client, key: &str) -> String {
    let config = config();
    let told = explain::tell(client, &config, "delivery", key, 10).await.unwrap();
    explain::as_text(&told, &config, now())
}

#[tokio::test]
async fn explain_tells_the_story_in_time_order() {
    let (_database, client) = history().await;
    insta::assert_snapshot!(explained(&client, "17").await, @r"
    delivery 17, times in UTC

    Message 1: read
      2026-06-24 09:00:00  update: 3 changes folded into one, the last 10 s after the first
                             status        planned → packed
                             window_start  2026-06-25T08:00:00+00:00 → 2026-06-25T10:00:00+00:00
      2026-06-24 09:00:30  attempt 1 on channel main begun
      2026-06-24 09:00:31  attempt 1: refused, HTTP 429, error 130429, class slow
                             Rate limit hit
      2026-06-24 09:00:39  put into words for Maria, …0143 (en-US, America/New_York), template service_change in en
                             New window: 10:00 AM.
      2026-06-24 09:00:39  attempt 2 on channel main begun
      2026-06-24 09:00:40  attempt 2: accepted, HTTP 201, id p-1
      2026-06-24 09:00:42  receipt: delivered (by poll)
      2026-06-24 09:05:42  receipt: read (by webhook)

    Message 5: scheduled
      2026-06-24 09:40:00  update
                             status  packed → on_the_way
      now                  due 2026-06-24 09:41:00 (3 min ago): an earlier message is being sent

    Not folded into a message yet
      2026-06-24 09:40:30  update by backoffice
                             status  on_the_way → —
    ");
}

#[tokio::test]
async fn explain_says_why_a_message_did_not_arrive() {
    let (_database, client) = history().await;
    insta::assert_snapshot!(explained(&client, "18").await, @r"
    delivery 18, times in UTC

    Message 2: failed
      2026-06-24 09:10:00  update
                             status  planned → packed
      2026-06-24 09:10:19  put into words for John, …0144 (en-US, America/New_York), template service_change in en
                             Status: packed.
      2026-06-24 09:10:19  attempt 1 on channel main begun
      2026-06-24 09:10:20  attempt 1: accepted, HTTP 201, id p-2
      2026-06-24 09:10:25  receipt: failed (by webhook), error 131026, Message undeliverable
      2026-06-24 09:10:25  failed: undeliverable, 131026: Message undeliverable
    ");
    insta::assert_snapshot!(explained(&client, "19").await, @r"
    delivery 19, times in UTC

    Message 3: skipped
      2026-06-24 09:20:00  update: 2 changes folded into one, the last 5 s after the first
                             no watched column differs in the end
      2026-06-24 09:20:25  skipped: no_net_change
    ");
    insta::assert_snapshot!(explained(&client, "20").await, @r"
    delivery 20, times in UTC

    Message 4: unconfirmed
      2026-06-24 09:30:00  update
                             status  planned → packed
      2026-06-24 09:30:20  put into words for Ann, …0145 (en-US, America/New_York), template service_change in en
                             Status: packed.
      2026-06-24 09:30:20  attempt 1 on channel main begun
      2026-06-24 09:30:50  attempt 1: unknown
                             timed out
      now                  the provider may have it; without evidence its watch's policy decides, 2026-06-24 09:45:50 (in 1 min)
    ");
}

#[tokio::test]
async fn explain_says_what_to_check_where_there_is_no_story() {
    let (_database, client) = history().await;
    insta::assert_snapshot!(explained(&client, "99").await, @r"
    delivery 99 has no story: none of its changes was captured.

    Check:
    - the key: shop.delivery is known by id; does the row exist? `rowbell preview delivery 99`
    - the trigger: shop.delivery has no trigger for it; run `rowbell watch`
    - the change: this watch records update, and updates only where one of these columns differs: status, window_start
    ");
    let unknown = explain::find(&config(), "delivry").unwrap_err();
    insta::assert_snapshot!(unknown.to_string(), @r#"
    there is no watch "delivry"; did you mean "delivery"?
    "#);
}

#[tokio::test]
async fn explain_never_shows_a_whole_phone() {
    let (_database, client) = history().await;
    let told = explain::tell(&client, &config(), "delivery", "17", 1).await.unwrap();
    assert!(told.story.has_earlier);
    let told = explain::tell(&client, &config(), "delivery", "17", 2).await.unwrap();
    assert!(!told.story.has_earlier);
    let json = serde_json::to_string(&told.story).unwrap();
    assert!(json.contains("…0143") && !json.contains("12025550143"), "{json}");
}

/// What analysts build on: a column that is renamed, or taken away, shows here. What is added makes the version rise, once
/// there was a release.
#[tokio::test]
async fn what_is_promised_to_analysts() {
    let (_database, client) = Database::migrated().await;
    let columns = "
select format('%s.%s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod))
  from pg_class as c
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0
 where c.relnamespace = 'rowbell_report'::regnamespace
 order by c.relname, a.attnum";
    let version = lines(&client, "select 'version ' || version from rowbell_report.version").await;
    insta::assert_snapshot!(format!("{version}\n{}", lines(&client, columns).await));
}
