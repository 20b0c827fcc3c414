//! Whatever the order in which evidence comes, and however often: the same row.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rowbell::cli::inspect::status;
use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell::postgres::operations::status_report;
use rowbell_lab::sandbox::{Fault, FaultRule};
use serde_json::json;

use crate::harness::{CONFIG, MARIA, SECOND, SHOP, World};

/// Pieces of evidence about one message, as a provider may tell them.
fn some_evidence(rng: &mut StdRng, now: jiff::Timestamp) -> Vec<Receipt> {
    let codes = [Some(131_026), Some(131_049), Some(131_042), Some(131_000), None];
    (0..rng.random_range(1..6))
        .map(|_| {
            let status = [
                ReceiptStatus::Sent,
                ReceiptStatus::Failed,
                ReceiptStatus::Delivered,
                ReceiptStatus::Read,
                ReceiptStatus::Other,
            ][rng.random_range(0..5)];
            let failed = status == ReceiptStatus::Failed;
            let error_code = codes[rng.random_range(0..codes.len())].filter(|_| failed);
            let second = std::time::Duration::from_secs(rng.random_range(0..5));
            Receipt {
                status,
                error_code,
                error_text: failed.then(|| format!("text {error_code:?}")),
                occurred_at: Some(now + second),
                ..Receipt::default()
            }
        })
        .collect()
}

/// How often each story is told. More with ROWBELL_CASES=2000.
fn cases() -> usize {
    std::env::var("ROWBELL_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

/// The property, on the real tables: domain/message/evidence.rs holds the same for thousands of cases. Which of two
/// failures a message names that is tried again is the one that came first.
#[tokio::test]
async fn any_order_and_repetition_of_the_same_evidence_ends_in_the_same_row() {
    let mut world = World::with_settings("[circuit]\nminimum = 1000000").await;
    let (tellings, cases) = (3, cases());
    world
        .sql(&format!(
            "insert into delivery select i, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'a' || i
                    from generate_series(1000, {}) i",
            999 + tellings * cases
        ))
        .await;
    world.settle().await;
    let sql = "select provider_message_id, message_id from rowbell.message where state = 'sent' order by message_id";
    let ids: Vec<(String, i64)> =
        world.db.query(sql, &[]).await.unwrap().iter().map(|r| (r.get(0), r.get(1))).collect();
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    for of_case in ids.chunks(tellings).take(cases) {
        let evidence = some_evidence(&mut rng, world.now());
        let mut rows = Vec::new();
        for (id, message_id) in of_case {
            let mut told = evidence.clone();
            told.extend(evidence.iter().filter(|_| rng.random_bool(0.3)).cloned());
            told.shuffle(&mut rng);
            told.iter_mut().for_each(|receipt| receipt.provider_message_id.clone_from(id));
            while !told.is_empty() {
                let together = rng.random_range(1..=told.len());
                world.receipts(told.drain(..together).collect()).await;
            }
            let row = format!(
                "select concat_ws(' ', state, reason, case when state <> 'scheduled' then reason_text end, delivered_at, read_at)
                   from rowbell.message where message_id = {message_id}"
            );
            rows.push(world.value(&row).await);
        }
        rows.dedup();
        assert_eq!(rows.len(), 1, "seed {seed}: {evidence:?} gave {rows:?}");
        // A channel that "payment problem" stopped sends again for the next case.
        world.sql("delete from rowbell.circuit").await;
    }
}

#[tokio::test]
async fn an_analyst_sees_doubled_late_and_contradictory_evidence() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    let id = world.sandbox.all_seen()[0].id.clone();
    let says = [
        (ReceiptStatus::Delivered, None),
        (ReceiptStatus::Sent, None),
        (ReceiptStatus::Failed, Some(131_026)),
        (ReceiptStatus::Failed, Some(131_026)),
        (ReceiptStatus::Delivered, None),
    ];
    for (status, error_code) in says {
        let receipt = Receipt {
            provider_message_id: id.clone(),
            status,
            error_code,
            error_title: error_code.map(|_| "Message undeliverable".to_owned()),
            error_text: error_code.map(|_| "not on WhatsApp".to_owned()),
            ..Receipt::default()
        };
        world.receipt(receipt).await;
    }
    let seen = "select concat_ws(', ', state, receipts || ' receipts', duplicates || ' duplicates', late || ' late',
                       'contradictory ' || is_contradictory, first_error_code, first_error_title, first_error_text)
                  from rowbell_report.evidence";
    assert_eq!(
        world.value(seen).await,
        "delivered, 5 receipts, 2 duplicates, 2 late, contradictory true, 131026, Message undeliverable, not on WhatsApp"
    );
}

#[tokio::test]
async fn a_failure_keeps_code_title_and_text_of_the_first_report() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    let id = world.sandbox.all_seen()[0].id.clone();
    let failed = |code: i32, second: u64| Receipt {
        provider_message_id: id.clone(),
        status: ReceiptStatus::Failed,
        error_code: Some(code),
        error_title: Some("Message undeliverable".to_owned()),
        error_text: Some(format!("details of {code}")),
        occurred_at: Some(world.now() + std::time::Duration::from_secs(second)),
        ..Receipt::default()
    };
    let (second, first) = (failed(130_472, 20), failed(131_026, 10));
    world.receipt(second).await;
    world.receipt(first).await;
    assert_eq!(
        world.value("select concat_ws(' ', state, reason, reason_text) from rowbell.message").await,
        "failed undeliverable 131026: Message undeliverable: details of 131026"
    );
}

/// botpress #15083: one status that was not understood blocked everything behind it.
#[tokio::test]
async fn what_is_not_understood_in_a_delivery_holds_up_nothing_else_in_it() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    let id = world.sandbox.all_seen()[0].id.clone();
    let body = json!({ "instanceId": "ODI371267300", "ack": [
        null, { "id": 7, "status": "read" }, { "status": "failed" }, { "id": "wamid.stranger", "status": "failed" },
        { "id": "wamid.odd", "status": "teleported" },
        { "id": id, "chatId": format!("{MARIA}@c.us"), "status": "delivered" },
        { "id": id, "status": { "code": 1 } },
    ]});
    world.posted(&body).await;
    assert_eq!(world.messages().await, ["1 delivered 1 change(s) 1 attempt(s)"]);
}

/// A provider that gets no answer in time posts the same again and again; an impatient proxy does it, too.
#[tokio::test]
async fn the_same_receipt_is_kept_once_however_often_it_is_posted() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    let id = world.sandbox.all_seen()[0].id.clone();
    let status =
        |status: &str| json!({ "id": id, "chatId": format!("{MARIA}@c.us"), "status": status });
    for _ in 0..30 {
        let ack = [status("sent"), status("sent"), status("delivered")];
        world.posted(&json!({ "instanceId": "ODI371267300", "ack": ack })).await;
    }
    assert_eq!(world.value("select count(*) from rowbell.receipt").await, "2");
    assert_eq!(world.messages().await, ["1 delivered 1 change(s) 1 attempt(s)"]);
    let counted = "select string_agg(status || ' ' || repeats, ', ' order by receipt_id) from rowbell.receipt";
    assert_eq!(world.value(counted).await, "sent 59, delivered 29");
    // With another time it is another one.
    let mut later = status("delivered");
    later["timestamp"] = world.now().as_second().into();
    world.posted(&json!({ "ack": [later] })).await;
    assert_eq!(world.value("select count(*) from rowbell.receipt").await, "3");
}

/// Several numbers post to one address: what one says of a message is not about that of another.
#[tokio::test]
async fn a_receipt_counts_for_the_channel_that_it_names_and_for_no_other() {
    let mut world = World::over(SHOP, &CONFIG.replace("{settings}", SECOND), "").await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    let id = world.sandbox.all_seen()[0].id.clone();
    let posted =
        |instance: &str| json!({ "instanceId": instance, "ack": [{ "id": id, "status": "read" }] });
    for instance in ["ODI371267301", "ODI999999999"] {
        world.posted(&posted(instance)).await;
        assert_eq!(world.messages().await, ["1 sent 1 change(s) 1 attempt(s)"], "{instance}");
    }
    let kept = "select string_agg(channel, ' ') from rowbell.receipt";
    assert_eq!(world.value(kept).await, "second", "what is about no channel of ours is not kept");
    world.posted(&posted("instanceodi371267300")).await;
    assert_eq!(world.messages().await, ["1 read 1 change(s) 1 attempt(s)"]);
}

/// 100eyes #2032: 200 for whatever it was, and nobody knew that it was not understood, a STOP among it.
#[tokio::test]
async fn a_delivery_that_is_not_understood_is_said() {
    let world = World::new().await;
    let said = async |world: &World| {
        let status = status_report::status(&world.db, &world.config, world.now()).await.unwrap();
        let needs = status::as_text(&status);
        let line = needs.lines().find(|line| line.contains("not understood")).unwrap_or("");
        line.trim_start_matches("  ").replace(|c: char| c.is_ascii_digit(), "0")
    };
    world.posted(&json!({ "instanceId": "ODI371267300", "ack": [], "type": "calls" })).await;
    assert_eq!(said(&world).await, "");
    world
        .posted(&json!({ "instanceId": "ODI371267300", "events": [{ "12025550143": "STOP" }] }))
        .await;
    let line = said(&world).await;
    assert!(
        line.contains("was not understood (0 item(s) in the fields: events, instanceId)"),
        "{line}"
    );
    world.pass(std::time::Duration::from_secs(90_000));
    assert_eq!(said(&world).await, "", "a day later it is over");
}

/// An address that was taken over, a proxy that answers for the provider: an answer without end.
#[tokio::test]
async fn an_answer_without_end_is_not_held() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    let endless = Fault::Answer { status: 200, body: "{".repeat(20 * 1024 * 1024) };
    world.sandbox.set_faults(vec![FaultRule::always(endless).on("hookInfo")]);
    world.pass(std::time::Duration::from_secs(40));
    world.work().await;
    let detail =
        world.value("select detail from rowbell.receipt_source where kind = 'polling'").await;
    assert!(detail.contains("longer than 16777216 bytes"), "{detail}");
}

/// Chatwoot #14529: a late "sent" took a message back from "delivered", or cleared its failure.
#[tokio::test]
async fn a_late_sent_clears_no_failure() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    let id = world.sandbox.all_seen()[0].id.clone();
    for status in [ReceiptStatus::Failed, ReceiptStatus::Sent] {
        let (error_code, id) = (Some(131_026), id.clone());
        let error_code = error_code.filter(|_| status == ReceiptStatus::Failed);
        let said = Receipt { provider_message_id: id, status, error_code, ..Receipt::default() };
        world.receipt(said).await;
        assert_eq!(world.messages().await, ["1 failed undeliverable 1 change(s) 1 attempt(s)"]);
    }
}
