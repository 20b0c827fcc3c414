//! What the database says about delivery is what the provider knows, whatever network and daemon do.
//!
//! ROWBELL_ROUNDS=50 makes the last story longer.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{Delay, Fault, FaultRule, ReceiptOptions, SandboxOptions, SeenMessage};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use crate::harness::World;

const CHANNEL: &str = "ODI371267300";

/// Late, doubled, out of order, before the answer to the request, left out, and for nobody.
fn unruly() -> ReceiptOptions {
    ReceiptOptions {
        sent: Some(Delay::between(0, 200)),
        delivered: Some(Delay::between(0, 600)),
        read: Some(Delay::between(0, 1_200)),
        read_share: 0.5,
        failed_share: 0.1,
        skip_delivered_share: 0.2,
        reversed_share: 0.3,
        twice_share: 0.3,
        early_share: 0.2,
        late_share: 0.2,
        late: Delay::between(500, 3_000),
        foreign_share: 0.05,
        retry_ms: 50,
        ..ReceiptOptions::default()
    }
}

/// A testbed in which everybody has one delivery and can be told.
async fn testbed(size: u64, webhook: bool, is_durable: bool, polling: &'static str) -> Testbed {
    let options = TestbedOptions {
        cluster: ClusterOptions {
            cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
            is_durable,
            ..ClusterOptions::default()
        },
        customers: size,
        deliveries: size,
        rate: "100000/s".to_owned(),
        quiet_period: "0s".to_owned(),
        webhook,
        edits: vec![("expires_at   = \"window_end\"", ""), ("[webhook]", polling)],
        ..TestbedOptions::default()
    };
    let provider = SandboxOptions { receipts: unruly(), ..SandboxOptions::default() };
    let exe = Path::new(env!("CARGO_BIN_EXE_rowbell"));
    let testbed = Testbed::raise(exe, options, provider).await.unwrap();
    let db = testbed.connect().await.unwrap();
    db.batch_execute("update customer set whatsapp_opt_in = true").await.unwrap();
    testbed
}

/// The furthest of what happened to a message, as the provider knows it.
fn known(message: &SeenMessage) -> &'static str {
    let rank = |word: &str| ["sent", "failed", "delivered", "read"].iter().position(|w| *w == word);
    let furthest = message.statuses.iter().map(|status| status.status).max_by_key(|w| rank(w));
    furthest.unwrap_or("sent")
}

/// Messages that do not stand as the provider knows them. With `known_to_us`, those whose answer was lost
/// are left out.
async fn mismatches(db: &Client, testbed: &Testbed, known_to_us: bool) -> Vec<String> {
    let sql = "select provider_message_id, state::text from rowbell.message where provider_message_id is not null";
    let rows = db.query(sql, &[]).await.unwrap();
    let said: HashMap<String, String> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
    let seen = testbed.sandbox.all_seen();
    let differs = |m: &&SeenMessage| said.get(&m.id).map(String::as_str) != Some(known(m));
    seen.iter()
        .filter(differs)
        .filter(|m| !known_to_us || said.contains_key(&m.id))
        .map(|m| format!("{}: {} is {:?}", m.id, known(m), said.get(&m.id)))
        .collect()
}

/// Until both sides agree and stay so for two seconds in which nothing new happens at the provider: what
/// it still repeats then was told before.
async fn agree(db: &Client, testbed: &Testbed, known_to_us: bool) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(60);
    let mut agreed = 0;
    loop {
        let counts = testbed.sandbox.counts();
        let differ = mismatches(db, testbed, known_to_us).await;
        agreed = if differ.is_empty() && counts.receipts_pending == 0 { agreed + 1 } else { 0 };
        if agreed > 8 || Instant::now() > end {
            return differ;
        }
        sleep(Duration::from_millis(250)).await;
    }
}

async fn number(db: &Client, sql: &str) -> i64 {
    db.query_one(&format!("select ({sql})::bigint"), &[]).await.unwrap().get(0)
}

/// 10,000 messages whose receipts come in every bad way end as the provider knows them.
async fn ten_thousand(webhook: bool, polling: &'static str) -> (Testbed, Client) {
    let testbed = testbed(10_000, webhook, false, polling).await;
    let db = testbed.connect().await.unwrap();
    db.batch_execute("update delivery set address = 'moved ' || id").await.unwrap();
    let daemon = testbed.daemon().await.unwrap();
    testbed.sandbox.wait_for(10_000, Duration::from_secs(120)).await.unwrap();
    let differ = agree(&db, &testbed, false).await;
    assert!(
        differ.is_empty(),
        "{} differ: {:?}\n{}",
        differ.len(),
        &differ[..differ.len().min(3)],
        testbed.log()
    );
    assert_eq!(
        number(&db, "select count(*) from rowbell.message where provider_message_id is not null")
            .await,
        10_000
    );
    assert_eq!(testbed.sandbox.count(), 10_000);
    for state in ["failed", "delivered", "read"] {
        let sql = format!("select count(*) from rowbell.message where state = '{state}'");
        assert!(number(&db, &sql).await > 500, "{state}");
    }
    assert!(daemon.stop().await.unwrap().success());
    (testbed, db)
}

const OFF: &str = "[circuit]\nminimum = 1000000\n[polling]\nenabled = false\n[webhook]";
const ON: &str = "[circuit]\nminimum = 1000000\n[polling]\nrate = \"100000/s\"\nfirst_after = \"1s\"\nfactor = 1.2\nlongest_pause = \"3s\"\n[webhook]";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_end_as_the_provider_knows_by_webhook() {
    let (_town, db) = ten_thousand(true, OFF).await;
    // The receipts were as bad as they were meant to be.
    let seen = "select count(*) filter (where duplicates > 0), count(*) filter (where late > 0),
                       count(*) filter (where came_before_answer) from rowbell_report.evidence";
    let seen = db.query_one(seen, &[]).await.unwrap();
    for (column, what) in ["duplicates", "late", "before the answer"].iter().enumerate() {
        assert!(seen.get::<_, i64>(column) > 500, "{what}: {}", seen.get::<_, i64>(column));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_end_as_the_provider_knows_by_polling() {
    let (_town, db) = ten_thousand(false, ON).await;
    assert_eq!(number(&db, "select count(*) from rowbell.receipt where source <> 'poll'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_end_as_the_provider_knows_by_both() {
    let (_town, db) = ten_thousand(true, ON).await;
    assert!(number(&db, "select count(*) from rowbell.receipt where source = 'poll'").await > 0);
}

/// 2,000 messages, each to a phone of its own, a third of which lose their answer.
async fn two_thousand(policy: &str, history: bool, accepted: bool) -> World {
    let mut world = World::over(
        crate::harness::SHOP,
        &crate::harness::CONFIG
            .replace("timeout    = \"2s\"", "timeout    = \"700ms\"")
            .replace("{settings}", "[polling]\nrate = \"100000/s\""),
        &format!("unconfirmed = \"{policy}\""),
    )
    .await;
    world.sandbox.set_history(CHANNEL, history);
    world
        .sql("insert into customer select i, 'Customer ' || i, '+1212' || 2000000 + i, 'en-US', 'UTC' from generate_series(1001, 3000) i;
              insert into delivery select i, i, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'x' from generate_series(1001, 3000) i;
              delete from rowbell.change")
        .await;
    let third = |fault| FaultRule::share(1.0 / 11.0, fault);
    world.sandbox.set_faults(vec![
        third(Fault::Drop { accepted }),
        third(Fault::Hang { accepted }),
        third(Fault::Lost { status: 502 }),
        third(Fault::Lost { status: 504 }),
    ]);
    world.sql("update delivery set address = 'moved ' || id where id > 1000").await;
    world.settle().await;
    // The list may have told of some of them by now.
    let doubted = "select count(*) from rowbell.attempt where result = 'unknown' or (result = 'accepted' and error_text is not null)";
    let doubted: i64 = world.value(doubted).await.parse().unwrap();
    assert!((450..850).contains(&doubted), "{doubted} of 2,000 lost their answer");
    world.sandbox.set_faults(Vec::new());
    for seconds in [60, 400, 60, 60] {
        world.pass(Duration::from_secs(seconds));
        world.work().await;
    }
    // Whatever became of it, why it was unconfirmed and what was done about it is on record.
    let unexplained = "select count(*) from rowbell.attempt a
                        where (a.result = 'unknown' or (a.result = 'accepted' and a.error_text is not null))
                          and (a.error_text is null or not exists (
                                  select from rowbell.reconcile_lookup i where i.message_id = a.message_id and i.number = a.number))";
    assert_eq!(world.value(unexplained).await, "0");
    world
}

#[tokio::test]
async fn under_hold_nobody_reads_a_message_twice_and_the_list_tells_of_all() {
    let world = two_thousand("hold", true, true).await;
    assert_eq!(world.sandbox.duplicates(), []);
    assert_eq!(world.sandbox.count(), 2_000);
    let states = "select string_agg(distinct state::text, ' ') from rowbell.message";
    assert_eq!(world.value(states).await, "sent");
}

#[tokio::test]
async fn under_hold_without_any_evidence_a_person_decides() {
    let world = two_thousand("hold", false, true).await;
    assert_eq!(world.sandbox.duplicates(), []);
    assert_eq!(world.sandbox.count(), 2_000);
    let held = "select count(*) from rowbell.message m join rowbell.attempt a using (message_id)
                 where m.state = 'unconfirmed' and a.result = 'unknown'";
    let unknown = "select count(*) from rowbell.attempt where result = 'unknown'";
    assert_eq!(world.value(held).await, world.value(unknown).await);
}

#[tokio::test]
async fn under_resend_no_message_is_lost() {
    let world = two_thousand("resend", true, false).await;
    let states = "select string_agg(distinct state::text, ' ') from rowbell.message";
    assert_eq!(world.value(states).await, "sent");
    let mut phones: Vec<String> = world.sandbox.all_seen().into_iter().map(|m| m.phone).collect();
    phones.sort();
    phones.dedup();
    assert_eq!(phones.len(), 2_000, "everybody was told");
    assert_eq!(world.sandbox.duplicates(), [], "what the list shows is not sent again");
}

/// Posts receipts of a provider that stops at nothing, and notes those that were acknowledged.
async fn pour(
    url: String,
    acknowledged: Arc<Mutex<Vec<String>>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
    let mut count = 0;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let ids: Vec<String> = (0..5).map(|n| format!("wamid.poured.{count}.{n}")).collect();
        count += 1;
        let items: Vec<_> =
            ids.iter().map(|id| json!({ "id": id, "status": "delivered" })).collect();
        let body = json!({ "instanceId": CHANNEL, "ack": items }).to_string();
        let answer = client.post(&url).body(body).send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            acknowledged.lock().unwrap().extend(ids);
        } else {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Where the testbed's daemon listens.
fn webhook_url(testbed: &Testbed) -> String {
    let config = std::fs::read_to_string(testbed.config_file()).unwrap();
    let listen = config.lines().find_map(|line| line.trim().strip_prefix("listen")).unwrap();
    let address = listen.trim_matches(|c: char| c == ' ' || c == '=' || c == '"');
    format!("http://{address}/webhook/demo-secret")
}

/// kill -9 and restarts of PostgreSQL while receipts stream in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_missing_after_any_crash() {
    let mut testbed = testbed(300, true, true, OFF).await;
    let url = webhook_url(&testbed);
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let pouring = tokio::spawn(pour(url, acknowledged.clone(), stop.clone()));
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let rounds = std::env::var("ROWBELL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let mut daemon = Some(testbed.daemon().await.unwrap());
    for round in 0..rounds {
        if let Ok(db) = testbed.connect().await {
            let sql = format!(
                "update delivery set address = 'v{round} ' || id where id % 4 = {}",
                round % 4
            );
            db.batch_execute(&sql).await.unwrap();
        }
        sleep(Duration::from_millis(rng.random_range(200..1_200))).await;
        if rng.random_bool(0.6) {
            daemon.take().unwrap().kill().await.unwrap();
            daemon = Some(testbed.daemon().await.unwrap());
        } else {
            let mode = if rng.random_bool(0.5) { "immediate" } else { "fast" };
            testbed.cluster.stop(mode).unwrap();
            sleep(Duration::from_millis(rng.random_range(0..300))).await;
            testbed.cluster.launch().unwrap();
        }
    }
    // However slow the machine is: enough that something could be missing.
    let backoff = std::time::Instant::now() + Duration::from_secs(60);
    while acknowledged.lock().unwrap().len() <= 200 && std::time::Instant::now() < backoff {
        sleep(Duration::from_millis(50)).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    pouring.await.unwrap();
    let db = testbed.connect().await.unwrap();
    let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
    println!("{} receipts were acknowledged", acknowledged.len());
    assert!(acknowledged.len() > 200, "seed {seed}: the webhook hardly ever answered");
    let missing = "select id from unnest($1::text[]) as id
                    where not exists (select from rowbell.receipt r where r.provider_message_id = id)";
    let missing = db.query(missing, &[&acknowledged]).await.unwrap();
    assert!(missing.is_empty(), "seed {seed}: {} acknowledged receipts are missing", missing.len());
    // And what is known of our own messages is what the provider knows.
    let differ = agree(&db, &testbed, true).await;
    assert!(differ.is_empty(), "seed {seed}: {differ:?}");
    drop(daemon);
}
