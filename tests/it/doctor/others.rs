//! What `rowbell doctor` finds where others are at work: at the provider, on the way to the server, in sessions of
//! others. Each is found, mended, and then nothing is found any more.

use std::path::Path;
use std::process::Command;

use rowbell::cli::inspect::doctor::examined;
use rowbell::finding::{Finding, Mend};
use rowbell::postgres::inspection::doctor::Limits;
use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{self, Testbed, TestbedOptions};
use rowbell_lab::sandbox::{ReceiptOptions, SandboxOptions, TemplateOptions};
use serde_json::Value;
use tokio_postgres::Client;

use super::faults::{Site, told};
use crate::delivery::wire::Wire;
use crate::resilience::pooler::PgBouncer;

const CHANNEL: &str = "ODI371267300";
const EXE: &str = env!("CARGO_BIN_EXE_rowbell");

/// Meta rejects a template, or pauses it after complaints. What mends it is done there.
#[tokio::test]
async fn a_template_that_whatsapp_does_not_send() {
    let site = Site::new().await;
    for status in ["rejected", "paused", "disabled", "submitted"] {
        let template = TemplateOptions { status: status.into(), ..TemplateOptions::default() };
        site.world.sandbox.set_template(CHANNEL, template);
        let said = told(&site.found(false).await);
        let expected = format!("template.service_change: \"service_change\" in \"en\" is {status}");
        let is_said =
            said.contains(&expected) && said.contains("WhatsApp sends approved ones only");
        assert!(is_said, "{said}");
        site.world.sandbox.set_template(CHANNEL, TemplateOptions::default());
        assert_eq!(told(&site.found(false).await), "");
    }
}

#[tokio::test]
async fn a_template_that_is_not_there_and_a_token_that_was_renewed() {
    let mut site = Site::new().await;
    let template = |site: &mut Site, name: &str| {
        site.config.template.get_mut("service_change").unwrap().name = name.to_owned();
    };
    template(&mut site, "service_chang");
    let said = told(&site.found(false).await);
    let expected = "has no template \"service_chang\"; did you mean \"service_change\"?";
    assert!(said.contains(expected), "{said}");
    template(&mut site, "service_change");
    assert_eq!(told(&site.found(false).await), "");

    let token = site.world.config.channel["main"].one_msg().unwrap().token_file.clone();
    site.world.sandbox.set_token(CHANNEL, "a-new-one");
    let said = told(&site.found(false).await);
    assert!(said.contains("channel.main.token_file: the provider refuses it (401)"), "{said}");
    std::fs::write(token, "a-new-one\n").unwrap();
    assert_eq!(told(&site.found(false).await), "");
}

/// The sysadmin puts PgBouncer between, with the mode that its manual recommends.
#[tokio::test]
async fn a_pgbouncer_that_shares_its_sessions() {
    let mut site = Site::new().await;
    let (world, user) = (&site.world, "rowbell_site");
    let shared = PgBouncer::for_user(world, user, "pool_mode = transaction").await;
    let own = PgBouncer::for_user(world, user, "pool_mode = session").await;
    site.config.database.url = shared.url.clone();
    let said = told(&site.found(false).await);
    assert!(
        said.contains("write pool_mode = session for this database in pgbouncer.ini"),
        "{said}"
    );
    site.config.database.url = own.url.clone();
    assert_eq!(told(&site.found(false).await), "");
}

/// queue_classic #184, que #395: some poolers accept LISTEN, and nothing is heard.
#[tokio::test]
async fn rings_that_get_lost_on_the_way() {
    let mut site = Site::new().await;
    let direct = site.config.database.url.clone();
    let wire = Wire::to(site.world.cluster.port()).await;
    wire.swallow_rings();
    let port = wire.port();
    site.config.database.url =
        format!("postgresql://rowbell_site@127.0.0.1:{port}/postgres?sslmode=disable");
    let said = told(&site.found(false).await);
    let expected = "doorbell: no ring is heard, so that the daemon looks by itself instead of being woken: LISTEN is \
                    accepted but nothing is heard; give database.url a direct connection to the server";
    assert!(said.contains(expected), "{said}");
    site.config.database.url = direct;
    assert_eq!(told(&site.found(false).await), "");
}

async fn session(site: &Site) -> Client {
    testbed::connect(&site.world.cluster.url("postgres")).await.unwrap()
}

async fn found(site: &Site, limits: &Limits) -> Vec<Finding> {
    examined(&site.config, limits).await.findings
}

/// Hasura #6263: a listener sits in a transaction, and once the queue is full no commit that rings goes through.
#[tokio::test]
async fn a_queue_of_notifications_that_fills() {
    let site = Site::new().await;
    let limits = Limits { notification_queue: 0.0, ..Limits::default() };
    assert_eq!(told(&found(&site, &limits).await), "");
    // Once as a role that sees nobody's sessions but its own, once as one that may see all.
    for right in
        ["revoke pg_read_all_stats from rowbell_site", "grant pg_read_all_stats to rowbell_site"]
    {
        site.world.sql(right).await;
        let forgotten = session(&site).await;
        forgotten.batch_execute("listen noise").await.unwrap();
        forgotten.batch_execute("begin; select 1").await.unwrap();
        let noise =
            "select pg_notify('noise', n || repeat('x', 7900)) from generate_series(1, 50) as n";
        site.world.sql(noise).await;
        let full = found(&site, &limits).await;
        let said = told(&full);
        assert!(said.contains("queue of notifications: is 0.0 % full; once it is full"), "{said}");
        assert_eq!(said.contains(". Session "), right.starts_with("grant"), "{said}");
        for mend in full.iter().flat_map(|one| &one.mend) {
            site.mend(mend).await;
        }
        while !forgotten.is_closed() {
            tokio::task::yield_now().await;
        }
        while !found(&site, &limits).await.is_empty() {}
    }
}

/// An application opens one session after the other and closes none. The daemon's role sees none of them.
#[tokio::test]
async fn connections_that_are_nearly_all_taken() {
    let site = Site::new().await;
    let taken = "select sum(numbackends) > 0.9 * current_setting('max_connections')::integer from pg_stat_database";
    let mut sessions = Vec::new();
    while site.world.value(taken).await != "true" {
        sessions.push(session(&site).await);
    }
    let said = told(&site.found(false).await);
    assert!(said.contains("connections are taken"), "{said}");
    drop(sessions);
    while !site.found(false).await.is_empty() {}
}

/// Statistics arrive a moment later.
#[tokio::test]
async fn dead_rows_that_nobody_has_removed() {
    let site = Site::new().await;
    let limits = Limits { dead_rows: 30, ..Limits::default() };
    let busy = session(&site).await;
    busy.batch_execute(
        "insert into rowbell.pause (kind, name) select 'watch', 'w' || n from generate_series(1, 40) as n;
         delete from rowbell.pause",
    )
    .await
    .unwrap();
    drop(busy);
    let vacuum = Mend::Sql("vacuum (analyze) rowbell.pause".to_owned());
    let is_named = |one: &Finding| one.mend == [vacuum.clone()] && one.what.contains("dead rows");
    while !found(&site, &limits).await.iter().any(is_named) {}
    site.mend(&vacuum).await;
    while found(&site, &limits).await.iter().any(is_named) {}
}

/// What doctor says of receipts, as JSON.
fn of_receipts(testbed: &Testbed) -> Vec<Value> {
    let mut doctor = Command::new(EXE);
    let done =
        doctor.arg("--config").arg(testbed.config_file()).args(["doctor", "--json"]).output();
    let said: Value = serde_json::from_slice(&done.unwrap().stdout).unwrap();
    let findings = said["findings"].as_array().unwrap().iter();
    let is_of_receipts = |one: &&Value| {
        let key = one["key"].as_str().unwrap();
        key == "channel.main" || key.starts_with("webhook")
    };
    findings.filter(is_of_receipts).cloned().collect()
}

/// Receipts do not come in: nobody answers, our address is not registered, it is another one, or it was given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_through_which_nothing_comes() {
    let options = TestbedOptions {
        cluster: ClusterOptions {
            cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
            ..ClusterOptions::default()
        },
        // The daemon would mend it before we look.
        edits: vec![("[webhook]", "[webhook]\nlook_every = \"1h\"")],
        ..TestbedOptions::default()
    };
    let testbed = Testbed::raise(Path::new(EXE), options, SandboxOptions::default()).await.unwrap();
    let no_daemon = of_receipts(&testbed);
    assert!(no_daemon.iter().any(|one| one["key"] == "webhook of channel main"), "{no_daemon:?}");
    let daemon = testbed.daemon().await.unwrap();
    assert_eq!(of_receipts(&testbed), [Value::Null; 0]);

    let text = std::fs::read_to_string(testbed.config_file()).unwrap();
    let listen = text.lines().find_map(|line| line.strip_prefix("listen")).unwrap();
    let listen = listen.trim_matches([' ', '=', '"']).to_owned();
    let ours = format!("http://{listen}/webhook/demo-secret");
    testbed.sandbox.set_webhook(CHANNEL, &[]);
    let said = of_receipts(&testbed);
    assert_eq!(said.len(), 1, "{said:?}");
    let what = said[0]["what"].as_str().unwrap();
    assert!(
        what.ends_with("posts nothing to our webhook: rowbell webhook register <url>"),
        "{what}"
    );
    let no_url = testbed.command(&["webhook", "register", "--yes"]).unwrap_err().to_string();
    assert!(no_url.contains("channel main does not post to us: give the URL"), "{no_url}");
    testbed.command(&["webhook", "register", &ours, "--yes"]).unwrap();
    assert_eq!(of_receipts(&testbed), [Value::Null; 0]);

    let elsewhere = "http://127.0.0.1:1/webhook/demo-secret".to_owned();
    testbed.sandbox.set_webhook(CHANNEL, std::slice::from_ref(&elsewhere));
    let said = of_receipts(&testbed);
    assert!(said.iter().any(|one| one["key"] == "webhook of channel main"), "{said:?}");

    // The provider posts there, is not answered, and loses its patience; then the way is open again.
    testbed.sandbox.set_receipts(ReceiptOptions {
        disable_after: Some(1),
        retry_ms: 1,
        ..ReceiptOptions::none()
    });
    testbed.sandbox.set_webhook(CHANNEL, &[elsewhere, ours.clone()]);
    assert!(daemon.stop().await.unwrap().success());
    testbed.sandbox.inbound(CHANNEL, "12122000001", "hello");
    let over = |counts: &rowbell_lab::sandbox::SandboxCounts| counts.items_pending == 0;
    testbed.sandbox.wait_until(std::time::Duration::from_secs(20), over).await.unwrap();
    let said = of_receipts(&testbed);
    let given_up = said.iter().find(|one| one["key"] == "channel.main");
    let given_up = given_up.unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!(given_up["mend"][0]["rowbell"], "webhook register --channel main");
    testbed.command(&["webhook", "register", "--channel", "main", "--yes"]).unwrap();
    assert!(of_receipts(&testbed).iter().all(|one| one["key"] != "channel.main"));
}
