//! What a monitoring system sees: over real HTTP, of the daemon as typed, while it works, while its channel is
//! stopped, and while its database is away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use rowbell::pipeline::context::stage::{Progress, Stage as _};
use rowbell::postgres::operations::figures::{self, Figure, Scope};
use rowbell::postgres::operations::holds::{self, HoldSelection};
use rowbell::postgres::operations::status_report;
use rowbell::telemetry::metrics::{Metric, OF_THE_DATABASE, OF_THE_PROCESS};
use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{Fault, FaultRule, ReceiptOptions, SandboxOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::harness::{READ_TOKEN, World};
use crate::page::browser::{Browser, PAGE, Served};

const CHANNEL: &str = "ODI371267300";
const SOON: Duration = Duration::from_secs(30);

/// A testbed whose daemon can be looked at.
async fn testbed(listen: &'static str) -> Testbed {
    let cache = Some(env!("CARGO_TARGET_TMPDIR").into());
    let options = TestbedOptions {
        cluster: ClusterOptions { cache, ..ClusterOptions::default() },
        quiet_period: "0s".to_owned(),
        edits: vec![("[log]", listen)],
        ..TestbedOptions::default()
    };
    let provider =
        SandboxOptions { receipts: ReceiptOptions::at_once(), ..SandboxOptions::default() };
    Testbed::raise(Path::new(env!("CARGO_BIN_EXE_rowbell")), options, provider).await.unwrap()
}

const ANY_PORT: &str = "[metrics]\nlisten = \"127.0.0.1:0\"\n\n[log]";

/// Where the last daemon that was started said that it can be looked at.
fn address(testbed: &Testbed) -> String {
    let log = testbed.log();
    let line = log.lines().rfind(|line| line.contains("metrics can be read")).unwrap();
    line.split("address=").nth(1).unwrap().trim().to_owned()
}

/// The whole answer, head and body.
async fn asked(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// One look: every series with its value.
#[derive(Debug)]
struct Look {
    page: String,
    series: BTreeMap<String, f64>,
}

impl Look {
    async fn at(address: &str) -> Look {
        let page = asked(address, "/metrics").await;
        let (head, body) = page.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        let samples = body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let series = samples.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (in_order(series), value.parse().unwrap())
        });
        let series = series.collect();
        Look { page, series }
    }

    /// Looks until a series has the value.
    async fn until(address: &str, series: &str, value: f64) -> Look {
        let end = Instant::now() + SOON;
        loop {
            let look = Look::at(address).await;
            if look.of(series) == Some(value) {
                return look;
            }
            assert!(Instant::now() < end, "{series} never was {value}: {}", look.page);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn of(&self, series: &str) -> Option<f64> {
        self.series.get(&in_order(series)).copied()
    }
}

/// A series with its labels in the order of their names.
fn in_order(series: &str) -> String {
    let (name, labels) = parts(series);
    let mut labels: Vec<&str> = labels;
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(","))
}

fn parts(series: &str) -> (&str, Vec<&str>) {
    match series.split_once('{') {
        Some((name, labels)) => {
            (name, labels.trim_end_matches('}').split(',').filter(|l| !l.is_empty()).collect())
        }
        None => (series, Vec::new()),
    }
}

fn all() -> impl Iterator<Item = &'static Metric> {
    OF_THE_PROCESS.iter().chain(&OF_THE_DATABASE)
}

/// The metric of a series; those of a histogram are three.
fn metric(name: &str) -> &'static Metric {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    let found = all().find(|metric| metric.name == name || Some(metric.name) == base);
    found.unwrap_or_else(|| panic!("{name} is in no table"))
}

/// Every series is one of the tables, with the labels that stand there.
fn assert_told_of(look: &Look) {
    for series in look.series.keys() {
        let (name, labels) = parts(series);
        let labels: BTreeSet<&str> =
            labels.iter().map(|label| label.split('=').next().unwrap()).collect();
        let mut wanted: BTreeSet<&str> = metric(name).labels.iter().copied().collect();
        if name.ends_with("_bucket") {
            wanted.insert("le");
        }
        assert_eq!(labels, wanted, "{series}");
    }
    for metric in all().filter(|metric| look.page.contains(&format!("# TYPE {} ", metric.name))) {
        let kind = format!("# TYPE {} {}\n", metric.name, metric.kind.into_str());
        let help = format!("# HELP {} {}\n", metric.name, metric.meaning);
        assert!(look.page.contains(&kind) && look.page.contains(&help), "{kind}{help}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_the_shop_is_told_in_numbers() {
    let testbed = testbed(ANY_PORT).await;
    let daemon = testbed.daemon().await.unwrap();
    let (db, address) = (testbed.connect().await.unwrap(), address(&testbed));

    // Before the first event all is there already, at 0: a rise from nothing is no rise.
    let look = Look::until(&address, "rowbell_listening", 1.0).await;
    let sent = r#"rowbell_messages_total{watch="home_delivery",channel="main",state="sent"}"#;
    let delivered =
        r#"rowbell_messages_total{watch="home_delivery",channel="main",state="delivered"}"#;
    let skipped = r#"rowbell_messages_total{watch="home_delivery",channel="main",state="skipped"}"#;
    let by_webhook =
        r#"rowbell_receipts_total{channel="main",source="webhook",status="delivered"}"#;
    let accepted = r#"rowbell_attempts_total{channel="main",result="accepted",class=""}"#;
    let refused = r#"rowbell_attempts_total{channel="main",result="refused",class="channel"}"#;
    let opened = r#"rowbell_circuit_opened_total{channel="main",kind="channel"}"#;
    let is_open = r#"rowbell_circuits_open{channel="main",kind="channel"}"#;
    for series in [sent, delivered, skipped, by_webhook, accepted, refused, opened, is_open] {
        assert_eq!(look.of(series), Some(0.0), "{series}: {}", look.page);
    }
    assert_eq!(look.of("rowbell_database_up"), Some(1.0));
    assert!(look.of("rowbell_notification_queue_usage_ratio").is_some_and(|used| used < 0.01));

    // One message arrives; one is not meant to leave.
    db.batch_execute(
        "update customer set whatsapp_opt_in = false where id = 2;
         update delivery set address = '2 New Street' where id in (1, 2)",
    )
    .await
    .unwrap();
    Look::until(&address, skipped, 1.0).await;
    Look::until(&address, delivered, 1.0).await;
    let look = Look::until(&address, accepted, 1.0).await;
    let told = [sent, by_webhook, accepted, r#"rowbell_request_seconds_count{channel="main"}"#];
    for series in told {
        assert_eq!(look.of(series), Some(1.0), "{series}: {}", look.page);
    }
    assert_eq!(look.of("rowbell_changes_claimed_total"), Some(2.0), "{}", look.page);
    assert!(look.of(r#"rowbell_request_seconds_sum{channel="main"}"#) > Some(0.0));

    // A person stops the channel: what is due waits, and grows old.
    testbed.command(&["pause", "channel", "main"]).unwrap();
    db.batch_execute("update delivery set address = '3 New Street' where id = 3").await.unwrap();
    let due = r#"rowbell_queue_messages{channel="main",state="due"}"#;
    let look = Look::until(&address, due, 1.0).await;
    let age = look.of(r#"rowbell_oldest_due_age_seconds{channel="main"}"#);
    assert!(age > Some(0.0) && age < Some(SOON.as_secs_f64()), "{age:?}");

    // The provider refuses our token: errors stop the channel.
    testbed.sandbox.set_token(CHANNEL, "another");
    testbed.command(&["resume", "channel", "main"]).unwrap();
    let look = Look::until(&address, is_open, 1.0).await;
    assert_eq!(look.of(opened), Some(1.0), "{}", look.page);
    assert_eq!(look.of(refused), Some(1.0), "{}", look.page);

    assert_told_of(&look);
    let personal = ["212200", "John", "Maria", "New Street", "sandbox-token", "demo-secret"];
    for word in personal {
        assert!(!look.page.contains(word), "{word} stands in {}", look.page);
    }
    assert!(asked(&address, "/").await.contains("404"), "nothing else is served");
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_the_rest_is_told() {
    let mut testbed = testbed(ANY_PORT).await;
    let daemon = testbed.daemon().await.unwrap();
    let address = address(&testbed);
    let db = testbed.connect().await.unwrap();
    db.batch_execute("update delivery set address = '2 New Street' where id = 1").await.unwrap();
    let sent = r#"rowbell_messages_total{watch="home_delivery",channel="main",state="sent"}"#;
    Look::until(&address, sent, 1.0).await;

    // It is there and does not answer in time: nobody waits for it longer than that.
    db.batch_execute("begin; lock table rowbell.circuit in access exclusive mode").await.unwrap();
    let began = Instant::now();
    let look = Look::at(&address).await;
    assert_eq!(look.of("rowbell_database_up"), Some(0.0), "{}", look.page);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(8), "{took:?}");
    db.batch_execute("rollback").await.unwrap();
    Look::until(&address, "rowbell_database_up", 1.0).await;

    testbed.cluster.stop("immediate").unwrap();
    let look = Look::until(&address, "rowbell_database_up", 0.0).await;
    assert_eq!(look.of(sent), Some(1.0), "{}", look.page);
    for metric in OF_THE_DATABASE.iter().filter(|m| m.name != "rowbell_database_up") {
        assert!(!look.page.contains(metric.name), "{} is of before: {}", metric.name, look.page);
    }
    assert_told_of(&look);
    Look::until(&address, "rowbell_listening", 0.0).await;

    testbed.cluster.launch().unwrap();
    Look::until(&address, "rowbell_listening", 1.0).await;
    let look = Look::until(&address, "rowbell_database_up", 1.0).await;
    assert_eq!(look.of("rowbell_listener_reconnects_total"), Some(1.0), "{}", look.page);
    let failures = look.series.iter().filter(|(name, _)| name.contains("stage_failures"));
    assert!(failures.map(|(_, count)| count).sum::<f64>() > 0.0, "{}", look.page);
    assert!(daemon.stop().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_use_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let edit = format!("[metrics]\nlisten = \"{listen}\"\n\n[log]");
    let testbed = testbed(edit.leak()).await;
    let said = testbed.daemon().await.err().unwrap().to_string();
    assert!(said.contains(&format!("could not listen on metrics.listen = \"{listen}\"")), "{said}");
    assert!(said.contains("in use"), "{said}");
}

/// One figure that the database knows.
async fn figure(world: &World, metric: &str, channel: Option<&str>, word: Option<&str>) -> f64 {
    let mut client = world.stages.context.pool.get().await.unwrap();
    let scope = Scope {
        now: world.now(),
        channels: &["main"],
        watches: &["home_delivery"],
        watch_channels: &["main"],
        lease: world.config.delivery.lease,
    };
    let figures = figures::read(&mut client, scope).await.unwrap();
    let of = |figure: &&Figure| {
        figure.metric == metric
            && figure.channel.as_deref() == channel
            && figure.word.as_deref() == word
    };
    figures.iter().find(of).unwrap().value
}

/// A held bulk edit is no messages yet: metrics, status, the page and `rowbell held` say how many rows wait all the same.
#[tokio::test]
async fn what_a_person_has_to_decide_about_is_one_number_everywhere() {
    let settings = format!("{PAGE}[storm]\ntransaction = 5\nminute = 0\n");
    let mut world = World::with_settings(&settings).await;
    world
        .sql("insert into delivery select i, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'start' from generate_series(101, 110) i;
              delete from rowbell.change")
        .await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    // One of them has become a message: a later change waits in the same hold.
    world.sql("update delivery set address = 'later' where id = 101").await;
    world.settle().await;
    for (approved, waits) in [(0, 10), (4, 6), (6, 0)] {
        let now = world.now();
        for hold in holds::list(&world.db, &HoldSelection::default()).await.unwrap() {
            holds::approve(&mut world.db, &hold, approved, now).await.unwrap();
        }
        let held = holds::list(&world.db, &HoldSelection::default()).await.unwrap();
        assert_eq!(held.iter().map(|hold| hold.messages).sum::<i64>(), waits);
        let counted = figure(&world, "rowbell_queue_messages", Some("main"), Some("held")).await;
        assert_eq!(counted, waits as f64);
        let status = status_report::status(&world.db, &world.config, now).await.unwrap();
        assert_eq!(status.channels.iter().map(|channel| channel.held).sum::<i64>(), waits);
        let blocked = status.blockers.iter().filter_map(|blocker| blocker.messages).sum::<i64>();
        assert_eq!(blocked, waits);
        let served = Served::of(&world).await;
        let browser = Browser::of(&served, "Maria", READ_TOKEN).await;
        let seen = browser.get("/now").await;
        let tile = format!("<dt>Held for a person</dt><dd>{waits}</dd>");
        assert!(seen.has(&tile), "{tile}: {}", seen.text);
    }
    world.settle().await;
    assert_eq!(
        world.value("select count(*) from rowbell.message where state = 'sent'").await,
        "10"
    );
}

/// What is approved in part and not claimed yet waits for the daemon, and not for a person.
#[tokio::test]
async fn what_is_approved_of_a_bulk_edit_grows_old_until_it_is_claimed() {
    let mut world = World::with("storm = { transaction = 1, minute = 0 }").await;
    world.sql("update delivery set address = 'bulk'").await;
    world.settle().await;
    let change_age =
        async |world: &World| figure(world, "rowbell_oldest_change_age_seconds", None, None).await;
    assert_eq!(change_age(&world).await, 0.0, "it waits for a person");
    let hold = holds::list(&world.db, &HoldSelection::default()).await.unwrap().remove(0);
    let now = world.now();
    assert_eq!(holds::approve(&mut world.db, &hold, 1, now).await.unwrap(), 1);
    assert!(change_age(&world).await > 0.0, "one of two waits for the daemon");
}

#[tokio::test]
async fn what_waits_is_counted_where_it_stands_and_grows_old() {
    let mut world = World::new().await;
    let change_age =
        async |world: &World| figure(world, "rowbell_oldest_change_age_seconds", None, None).await;
    let messages = async |world: &World, state| {
        figure(world, "rowbell_queue_messages", Some("main"), Some(state)).await
    };
    let age = async |world: &World, of: &str| {
        figure(world, &format!("rowbell_oldest_{of}_age_seconds"), Some("main"), None).await
    };
    assert_eq!(change_age(&world).await, 0.0);
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    let young = change_age(&world).await;
    world.pass(Duration::from_secs(5));
    let grown = change_age(&world).await - young;
    assert!((5.0..30.0).contains(&grown), "{grown}");

    world.stages.claim.step().await.unwrap();
    assert_eq!(change_age(&world).await, 0.0);
    assert_eq!((messages(&world, "waiting").await, messages(&world, "due").await), (1.0, 0.0));
    assert_eq!(age(&world, "due").await, 0.0, "it is not due yet");
    world.pass(Duration::from_secs(600));
    assert_eq!((messages(&world, "waiting").await, messages(&world, "due").await), (0.0, 1.0));
    let due = age(&world, "due").await;
    assert!((500.0..700.0).contains(&due), "{due}");

    world.stages.composes[0].step().await.unwrap();
    assert_eq!((messages(&world, "due").await, messages(&world, "leased").await), (0.0, 1.0));
    assert!(age(&world, "lease").await < 30.0);
    world.pass(Duration::from_secs(40));
    let lease = age(&world, "lease").await;
    assert!((40.0..70.0).contains(&lease), "{lease}");
}

/// Each attempt in vain moves the time at which a message is due; how late it is counts from the first.
#[tokio::test]
async fn a_message_that_errors_put_off_is_late_since_it_was_due_first() {
    let mut world = World::new().await;
    let age = async |world: &World| {
        figure(world, "rowbell_oldest_due_age_seconds", Some("main"), None).await
    };
    let faults = |fault| vec![FaultRule::always(fault)];
    world.sandbox.set_faults(faults(Fault::Refused { status: 503 }));
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    for _ in 0..20 {
        world.pass(Duration::from_secs(60));
        world.work().await;
    }
    let late = age(&world).await;
    assert!((1_150.0..1_400.0).contains(&late), "{late}");
    world.sandbox.set_faults(faults(Fault::Code { code: 132_015 }));
    for _ in 0..20 {
        world.pass(Duration::from_secs(60));
        world.work().await;
    }
    let late = age(&world).await;
    assert!((2_350.0..2_700.0).contains(&late), "a stopped template: {late}");
    // What WhatsApp asks to leave for a day is not late.
    world.sandbox.set_faults(faults(Fault::Code { code: 131_049 }));
    for _ in 0..20 {
        world.pass(Duration::from_secs(60));
        world.work().await;
    }
    assert_eq!(age(&world).await, 0.0);
}

#[tokio::test]
async fn questions_that_have_caught_up_are_not_late_any_more() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = ::metrics::set_default_local_recorder(&recorder);
    let late = || {
        let page = recorder.handle().render();
        let line = page.lines().find(|line| line.starts_with("rowbell_poll_lag_seconds{"));
        line.unwrap().rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let mut world = World::new().await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    world.pass(Duration::from_secs(3_600));
    let poll = &mut world.stages.polls[0];
    assert_eq!(poll.step().await.unwrap(), Progress::Worked);
    assert!(late() > 1_000.0, "{}", late());
    assert_eq!(poll.step().await.unwrap(), Progress::Idle);
    assert_eq!(late(), 0.0);
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// What is counted is described as what it is, and what is described is counted somewhere.
#[test]
fn every_metric_is_described_once_and_counted() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut counted = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for kind in ["counter", "gauge", "histogram"] {
            for call in text.split(&format!("metrics::{kind}!(")).skip(1) {
                let name = call.split('"').nth(1).unwrap().to_owned();
                assert_eq!(metric(&name).kind.into_str(), kind, "{name} in {}", file.display());
                counted.insert(name);
            }
        }
    }
    let described: BTreeSet<String> = OF_THE_PROCESS.iter().map(|m| m.name.to_owned()).collect();
    assert_eq!(counted, described);
    let sql = read("sql/queries/status/metrics_read.sql")
        + &read("sql/queries/outgoing_webhook/metrics_endpoints.sql");
    for metric in OF_THE_DATABASE.iter().filter(|metric| metric.name != "rowbell_database_up") {
        assert!(sql.contains(&format!("'{}'", metric.name)), "{} is not asked for", metric.name);
    }
    assert_eq!(all().map(|metric| metric.name).collect::<BTreeSet<_>>().len(), all().count());
}
