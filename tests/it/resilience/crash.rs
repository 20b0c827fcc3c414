//! The daemon dies at every point: no change is lost, and no message is sent twice unless it is on
//! record as unconfirmed first.

use rowbell::pipeline::context::stage::Stage as _;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{Delay, Fault, FaultRule, ReceiptOptions, Sandbox, SandboxOptions};
use tokio_postgres::Client;

use crate::harness::World;

/// How often each story kills. More with ROWBELL_CRASHES=1000.
fn crashes(default: u64) -> u64 {
    std::env::var("ROWBELL_CRASHES").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Compares what customers have seen with the rows and with the record.
pub async fn judge(db: &Client, sandbox: &Sandbox, story: &str) {
    let open =
        "select (select count(*) from rowbell.change) + (select count(*) from rowbell.queue)";
    let open: i64 = db.query_one(open, &[]).await.unwrap().get(0);
    assert_eq!(open, 0, "{story}: something is still open");

    // No change is lost: the last message of every entity that changed tells the row as it is.
    let untold = "select d.id::text
                    from delivery d
                    join lateral (select m.new_row, m.state from rowbell.message m
                                   where m.watch = 'home_delivery' and m.entity_key = d.id::text
                                     and m.state in ('sent', 'delivered', 'read')
                                   order by m.message_id desc limit 1) told on true
                   where told.new_row ->> 'address' is distinct from d.address";
    let untold = db.query(untold, &[]).await.unwrap();
    let untold: Vec<String> = untold.iter().map(|row| row.get(0)).collect();
    assert!(untold.is_empty(), "{story}: deliveries {untold:?} were not told as they are");
    let never = "select count(*) from delivery d where d.address like 'v%' and not exists
                 (select from rowbell.message m where m.entity_key = d.id::text and m.state in ('sent', 'delivered', 'read'))";
    let never: i64 = db.query_one(never, &[]).await.unwrap().get(0);
    assert_eq!(never, 0, "{story}: changes without a message");

    // Nothing is sent twice unless an attempt before it stands as unknown.
    let mut allowed: HashMap<(String, Vec<String>), i64> = HashMap::new();
    let rows = db
        .query(
            "select m.recipient_phone, array(select jsonb_array_elements_text(m.parameters)),
                    count(*) filter (where a.result = 'unknown'), count(*) filter (where a.result = 'accepted')
               from rowbell.message m join rowbell.attempt a using (message_id)
              where m.parameters is not null
              group by m.message_id",
            &[],
        )
        .await
        .unwrap();
    for row in rows {
        *allowed.entry((row.get(0), row.get(1))).or_default() +=
            row.get::<_, i64>(2) + row.get::<_, i64>(3);
    }
    let mut seen: HashMap<(String, Vec<String>), i64> = HashMap::new();
    for message in sandbox.all_seen() {
        *seen.entry((message.phone, message.parameters)).or_default() += 1;
    }
    for (message, times) in &seen {
        // A retry is put into words anew, from the row as it is then; the words of the attempt that
        // stands as unknown are not kept. So a text may also belong to an earlier attempt.
        let most = allowed.get(message).copied().unwrap_or(1);
        assert!(
            *times <= most.max(1),
            "{story}: a message was sent {times} times, {most} on record"
        );
    }
    let attempts: i64 = db
        .query_one(
            "select count(*) from rowbell.attempt where result in ('accepted', 'unknown')",
            &[],
        )
        .await
        .unwrap()
        .get(0);
    let seen: i64 = seen.values().sum();
    assert!(seen <= attempts, "{story}: {seen} were sent, {attempts} attempts are on record");
}

#[tokio::test]
async fn every_stage_may_die_in_the_middle_of_its_work() {
    let mut world = World::with("unconfirmed = \"resend\"").await;
    world
        .sql("insert into delivery select i, 1 + i % 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'a' \
              from generate_series(10, 21) i; delete from rowbell.change")
        .await;
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut version = 0;
    let mut deaths: HashMap<&str, u32> = HashMap::new();
    for _ in 0..crashes(300) {
        for _ in 0..rng.random_range(1..4) {
            version += 1;
            let id = rng.random_range(10..=21);
            world.sql(&format!("update delivery set address = 'v{version}' where id = {id}")).await;
        }
        let lost_answer = FaultRule::share(0.1, Fault::Drop { accepted: true });
        let slow = FaultRule::always(Fault::Latency { ms: 0, jitter_ms: 3 });
        world.sandbox.set_faults(vec![slow, lost_answer]);
        world.pass(Duration::from_secs(rng.random_range(0..40)));
        let stage = *died_in(&mut world, &mut rng).await;
        *deaths.entry(stage).or_default() += 1;
        world.restart().await;
    }
    println!("died in {deaths:?}");
    world.sandbox.set_faults(Vec::new());
    for _ in 0..40 {
        world.pass(Duration::from_secs(60));
        world.work().await;
    }
    judge(&world.db, &world.sandbox, &format!("seed {seed}")).await;
    for stage in ["claim", "compose", "deliver", "settle"] {
        assert!(deaths.get(stage).is_some_and(|n| *n > 0), "nobody died in {stage}: {deaths:?}");
    }
}

/// Stages take their turns, each with a little time; the one that does not finish is the one that
/// the daemon died in.
async fn died_in(world: &mut World, rng: &mut StdRng) -> &'static &'static str {
    let victim = ["claim", "compose", "deliver", "settle"][rng.random_range(0..4)];
    for _ in 0..4 {
        for stage in &["sweep", "claim", "compose", "deliver", "settle"] {
            let backoff = match *stage == victim {
                true => Duration::from_micros(rng.random_range(50..6_000)),
                false => Duration::from_secs(30),
            };
            let stages = &mut world.stages;
            let step = async {
                match *stage {
                    "sweep" => drop(stages.sweep.step().await.unwrap()),
                    "claim" => drop(stages.claim.step().await.unwrap()),
                    "compose" => drop(stages.composes[0].step().await.unwrap()),
                    "deliver" => drop(stages.delivers[0].step().await),
                    _ => stages.settle.step().await.unwrap(),
                }
            };
            if tokio::time::timeout(backoff, step).await.is_err() {
                return stage;
            }
        }
    }
    &"nothing"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_minus_nine_at_any_moment() {
    let options = TestbedOptions {
        cluster: ClusterOptions {
            cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
            ..ClusterOptions::default()
        },
        customers: 40,
        deliveries: 40,
        rate: "10000/s".to_owned(),
        quiet_period: "0s".to_owned(),
        webhook: false,
        edits: vec![
            ("expires_at   = \"window_end\"", "unconfirmed = \"resend\""),
            (
                "provider   = \"1msg\"",
                "provider = \"1msg\"\ntimeout = \"500ms\"\nconnect_timeout = \"500ms\"",
            ),
            (
                "[webhook]",
                "[delivery]\nlease = \"2s\"\nunconfirmed_after = \"1s\"\nretry_base = \"1s\"\nretry_cap = \"1s\"\n[webhook]",
            ),
        ],
        ..TestbedOptions::default()
    };
    let receipts = ReceiptOptions { sent: Some(Delay::of(0)), ..ReceiptOptions::none() };
    let provider = SandboxOptions { receipts, ..SandboxOptions::default() };
    let testbed =
        Testbed::raise(Path::new(env!("CARGO_BIN_EXE_rowbell")), options, provider).await.unwrap();
    let db = testbed.connect().await.unwrap();
    db.batch_execute("update customer set whatsapp_opt_in = true").await.unwrap();

    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut version, mut answered, mut leased) = (0, 0, 0);
    for _ in 0..crashes(30) {
        testbed.sandbox.set_faults(vec![FaultRule::always(Fault::Latency {
            ms: 0,
            jitter_ms: rng.random_range(0..20),
        })]);
        let daemon = testbed.daemon().await.unwrap();
        let began = testbed.sandbox.count();
        let mut until = None;
        // From the first message on, a random moment.
        while until.is_none_or(|until| tokio::time::Instant::now() < until) {
            if until.is_none() && testbed.sandbox.count() > began {
                let time = Duration::from_millis(rng.random_range(0..60));
                until = Some(tokio::time::Instant::now() + time);
            }
            version += 1;
            let id: i64 = rng.random_range(1..=40);
            let sql = format!("update delivery set address = 'v{version}' where id = {id}");
            db.batch_execute(&sql).await.unwrap();
        }
        daemon.kill().await.unwrap();
        let (said, unsaid) = in_flight(&db, &testbed.sandbox).await;
        answered += said;
        leased += unsaid;
    }
    println!(
        "died {answered} times after the provider had said yes, {leased} times before the request"
    );
    testbed.sandbox.set_faults(Vec::new());
    let daemon = testbed.daemon().await.unwrap();
    let open =
        "select (select count(*) from rowbell.change) + (select count(*) from rowbell.queue)";
    let end = tokio::time::Instant::now() + Duration::from_secs(90);
    while db.query_one(open, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(
            tokio::time::Instant::now() < end,
            "seed {seed}: it did not settle; {}",
            testbed.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(daemon.stop().await.unwrap().success());
    judge(&db, &testbed.sandbox, &format!("seed {seed}")).await;
    assert!(answered > 0, "no kill fell between the provider's yes and its storing");
}

/// Messages that the dead daemon left as sending: those that the provider has, and the others.
async fn in_flight(db: &Client, sandbox: &Sandbox) -> (usize, usize) {
    let sql = "select m.recipient_phone, array(select jsonb_array_elements_text(m.parameters))
                 from rowbell.message m join rowbell.attempt a using (message_id)
                where m.state = 'sending' and a.result is null";
    let seen = sandbox.all_seen();
    let rows = db.query(sql, &[]).await.unwrap();
    let (phone, parameters) = (0, 1);
    let has = |row: &&tokio_postgres::Row| {
        let (to, what): (String, Vec<String>) = (row.get(phone), row.get(parameters));
        seen.iter().any(|message| message.phone == to && message.parameters == what)
    };
    let said = rows.iter().filter(has).count();
    (said, rows.len() - said)
}

/// Hasura #6025, graphile #222: what a dead worker had locked stayed locked, for four hours or for ever.
#[tokio::test]
async fn what_a_dead_daemon_had_leased_is_free_when_the_lease_ends_and_nothing_else_waits_for_it() {
    let mut world = World::with("unconfirmed = \"resend\"").await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.work().await;
    world.pass(Duration::from_secs(30));
    for compose in &mut world.stages.composes {
        compose.step().await.unwrap();
    }
    world.crash().await;
    world.sql("update delivery set address = 'moved' where id = 2").await;
    world.settle().await;
    let of_two = "2 sent 1 change(s) 1 attempt(s)";
    assert_eq!(world.messages().await, ["1 sending 1 change(s) 1 attempt(s)", of_two]);
    world.pass(Duration::from_secs(31));
    world.work().await;
    assert_eq!(world.messages().await, ["1 unconfirmed 1 change(s) 1 attempt(s)", of_two]);
    for _ in 0..6 {
        world.pass(Duration::from_secs(60));
        world.work().await;
    }
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 2 attempt(s)", of_two]);
}
