//! A real daemon is killed again and again, while an endpoint of the application refuses, hangs, redirects and asks for pauses.
//! In the end the endpoint has seen every outcome at least once, of each message in order, all of them signed.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::scratch::Scratch;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{Delay, ReceiptOptions, SandboxOptions};
use tokio_postgres::Client;

use crate::figures::days::DIFFERENCES;
use crate::hooks::receiver::{Receiver, SECRET};

/// How often the daemon is killed. More with ROWBELL_CRASHES=100.
fn kills() -> u32 {
    std::env::var("ROWBELL_CRASHES").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

/// Texts of a configuration live as long as the process.
fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

async fn testbed(receiver: &Receiver, folder: &Scratch) -> Testbed {
    let secret = folder.path().join("crm.signing.key");
    std::fs::write(&secret, SECRET).unwrap();
    let endpoint = format!(
        "[outgoing_webhook.crm]\nurl = \"{}\"\nsecret_file = \"{}\"\ntimeout = \"1s\"\n[delivery]\nlease = \"2s\"\nunconfirmed_after = \"1s\"\n[webhook]",
        receiver.url,
        secret.display()
    );
    let options = TestbedOptions {
        cluster: ClusterOptions {
            cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
            ..ClusterOptions::default()
        },
        rate: "10000/s".to_owned(),
        quiet_period: "0s".to_owned(),
        edits: vec![
            ("[webhook]", leaked(endpoint)),
            (
                "provider   = \"1msg\"",
                "provider = \"1msg\"\ntimeout = \"500ms\"\nconnect_timeout = \"500ms\"",
            ),
            ("expires_at   = \"window_end\"", "unconfirmed = \"resend\""),
        ],
        ..TestbedOptions::default()
    };
    let receipts = ReceiptOptions {
        sent: Some(Delay::of(5)),
        delivered: Some(Delay::of(40)),
        ..ReceiptOptions::none()
    };
    let provider = SandboxOptions { receipts, ..SandboxOptions::default() };
    Testbed::raise(Path::new(env!("CARGO_BIN_EXE_rowbell")), options, provider).await.unwrap()
}

/// As if a minute had gone by since a daemon looked.
const LOOK_AGAIN: &str = "update rowbell.day_look set looked_at = looked_at - interval '1 minute'";

/// Waits until a query gives 0.
async fn none(db: &Client, query: &str) -> bool {
    for _ in 0..600 {
        if db.query_one(query, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_chaos_an_endpoint_has_seen_every_outcome_in_order() {
    let (receiver, folder) = (Receiver::start().await, Scratch::new("chaos").unwrap());
    let testbed = testbed(&receiver, &folder).await;
    let db = testbed.connect().await.unwrap();
    db.batch_execute("update customer set whatsapp_opt_in = true").await.unwrap();
    receiver.chaos(0.3);
    for round in 0..kills() {
        // Each looks at once which days have to be counted.
        db.batch_execute(LOOK_AGAIN).await.unwrap();
        let daemon = testbed.daemon().await.unwrap();
        let seen = receiver.all().len();
        let change =
            format!("update delivery set address = 'v{round}' where id % 4 = {}", round % 4);
        db.batch_execute(&change).await.unwrap();
        // From the first request on, a random moment.
        for _ in 0..100 {
            if receiver.all().len() > seen {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
        daemon.kill().await.unwrap();
    }
    receiver.chaos(0.0);
    let daemon = testbed.daemon().await.unwrap();
    let open =
        "select (select count(*) from rowbell.change) + (select count(*) from rowbell.queue)";
    assert!(none(&db, open).await, "messages are still open");
    // Leases of what the last daemon had on its way run out; a person has the rest tried at once.
    for _ in 0..20 {
        testbed.command(&["outgoing", "resume", "crm"]).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let due = "select count(*) from rowbell.outgoing_delivery where state <> 'delivered'";
        if db.query_one(due, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            break;
        }
    }
    let mut stored: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    let outcomes =
        "select message_id, outcome::text from rowbell.outgoing_delivery order by delivery_id";
    for row in db.query(outcomes, &[]).await.unwrap() {
        stored.entry(row.get(0)).or_default().push(row.get(1));
    }
    let rows: i64 = db
        .query_one(
            "select count(*) from rowbell.message where state in ('sent', 'delivered', 'read', 'failed', 'skipped')",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(stored.len() as i64, rows, "each message that came to an outcome is told");
    // What was taken, without what was taken before: a lost answer means that it comes twice.
    let (mut told, mut ids): (BTreeMap<i64, Vec<String>>, HashSet<String>) = Default::default();
    let received = receiver.all();
    assert!(received.iter().all(|one| one.is_signed));
    let (mut twice, mut refused) = (0, 0);
    for one in received {
        let (message, outcome) = one.what();
        refused += u32::from(!one.is_taken);
        match one.is_taken && ids.insert(one.id.clone()) {
            true => told.entry(message).or_default().push(outcome),
            false => twice += u32::from(one.is_taken),
        }
    }
    println!(
        "{} outcomes of {} messages, {refused} refused, {twice} came twice",
        ids.len(),
        told.len()
    );
    assert_eq!(told, stored);
    assert!(refused > 0, "the endpoint was to refuse some");
    // What the daemons counted meanwhile, and the last one counts when it looks again, is what the rows say.
    daemon.stop().await.unwrap();
    db.batch_execute(LOOK_AGAIN).await.unwrap();
    let days = "select count(*) from rowbell.day_span";
    assert!(db.query_one(days, &[]).await.unwrap().get::<_, i64>(0) > 0, "days were counted");
    let _daemon = testbed.daemon().await.unwrap();
    assert!(none(&db, DIFFERENCES).await, "days are not what the rows say");
}
