//! What the log says, and what it never does.

use std::path::Path;
use std::time::Duration;

use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{Delay, Fault, FaultRule, ReceiptOptions, SandboxOptions};
use tokio_postgres::Client;

const CHANNEL: &str = "ODI371267300";
const SOON: Duration = Duration::from_secs(30);

/// A testbed that logs as much as this level says, and in which one row cannot be read by the recipient query.
async fn testbed(level: &str) -> Testbed {
    let options = TestbedOptions {
        cluster: ClusterOptions {
            cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
            ..ClusterOptions::default()
        },
        customers: 8,
        deliveries: 8,
        quiet_period: "0s".to_owned(),
        edits: vec![
            ("c.full_name as name,", "c.full_name as name, c.full_name::integer as number,"),
            ("[webhook]", "[delivery]\nretry_base = \"1s\"\nretry_cap = \"1s\"\n[webhook]"),
        ],
        log_level: level.to_owned(),
        ..TestbedOptions::default()
    };
    let receipts = ReceiptOptions {
        sent: Some(Delay::of(0)),
        delivered: Some(Delay::of(1)),
        ..ReceiptOptions::none()
    };
    let provider = SandboxOptions { receipts, ..SandboxOptions::default() };
    Testbed::raise(Path::new(env!("CARGO_BIN_EXE_rowbell")), options, provider).await.unwrap()
}

async fn until(db: &Client, testbed: &Testbed, what: &str) {
    let end = tokio::time::Instant::now() + SOON;
    let sql = format!("select exists ({what})");
    while !db.query_one(&sql, &[]).await.unwrap().get::<_, bool>(0) {
        assert!(tokio::time::Instant::now() < end, "{what}\n{}", testbed.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Messages that arrive, are refused, lost and failed; a row that cannot be read; a customer who writes.
async fn a_bad_day(testbed: &Testbed) {
    let db = testbed.connect().await.unwrap();
    // Names are numbers here, but for that of Ahmed, of whom the database complains.
    db.batch_execute(
        "update customer set whatsapp_opt_in = true, full_name = (70000 + id)::text where id <> 3;
         update customer set full_name = 'Ahmed Ali' where id = 3",
    )
    .await
    .unwrap();
    let daemon = testbed.daemon().await.unwrap();
    let of = |id: i64, fault| FaultRule::always(fault).for_phone(&format!("1212200000{id}"));
    testbed.sandbox.set_faults(vec![
        of(1, Fault::Code { code: 131_026 }),
        of(4, Fault::Lost { status: 502 }),
        of(6, Fault::Code { code: 131_009 }),
        of(7, Fault::InBand { message: "no 12122000007 for 70007 at 16 Garden Street".to_owned() }),
    ]);
    db.batch_execute("update delivery set address = 'Hidden Lane ' || id").await.unwrap();
    until(&db, testbed, "select from rowbell.message where reason = 'unwritable'").await;
    until(
        &db,
        testbed,
        "select from rowbell.attempt having count(*) filter (where result is not null) >= 7",
    )
    .await;
    testbed.sandbox.inbound(CHANNEL, "12122000001", "please stop this, it is hidden");
    testbed.sandbox.inbound(CHANNEL, "12122000001", "stop");
    until(&db, testbed, "select from rowbell.opt_out").await;
    until(&db, testbed, "select from rowbell.receipt where status = 'delivered'").await;
    assert!(daemon.stop().await.unwrap().success());
}

/// Hasura #9888, DfE #11881, frappe_whatsapp #25: rows, recipients and tokens in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_line_holds_a_phone_a_name_a_word_or_a_secret_however_much_is_logged() {
    let testbed = testbed("trace").await;
    a_bad_day(&testbed).await;
    let log = testbed.log();
    assert!(log.contains("DEBUG"), "as much as can be: {log}");
    for private in [
        "2000001",
        "2000007",
        "610000002",
        "Ahmed",
        "70001",
        "Hidden",
        "hidden",
        "sandbox-token",
        "demo-secret",
    ] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(private)).take(5).collect();
        assert!(lines.is_empty(), "{private}: {lines:#?}");
    }
}

/// Hasura #9888: as much as one wants, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_much_is_logged_is_a_setting() {
    let testbed = testbed("error").await;
    a_bad_day(&testbed).await;
    let log = testbed.log();
    assert!(!log.is_empty() && log.lines().all(|line| line.contains(" ERROR ")), "{log}");
}
