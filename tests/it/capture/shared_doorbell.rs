//! Several daemons at one doorbell. Whichever goes, those that stay hear of every change at once; the safety poll is
//! set to an hour here. `doorbell_model.rs` walks through what cannot be forced.

use std::time::Duration;

use rowbell::config::Config;
use rowbell::postgres::connection::listener::{BELL_LOCKS, KEEPER};
use rowbell::postgres::connection::pool;
use rowbell::postgres::operations::pauses;
use rowbell::postgres::queries::claim::CLAIM_LOCK;
use rowbell_lab::demo::testbed;

use crate::capture::doorbell::{ASLEEP, Running, arrived, until, world};
use crate::harness::{CONFIG, SECOND, SHOP, World};

pub const NOTES: &str = r#"
[watch.notes]
table        = "public.delivery"
channel      = "second"
template     = "service_change"
service      = { en = "note to your delivery" }
columns      = ["note"]
on           = ["update"]
recipient    = "select c.full_name as name, c.phone, c.whatsapp_opt_in as opted_in from customer c where c.id = changed.customer_id"
quiet_period = "0s"
"#;

/// Two daemons on one database: the first sends what is told of deliveries, the second what is told of notes.
async fn two() -> (World, Config, Config) {
    let text = format!("{CONFIG}{SECOND}{NOTES}").replace("\"20s\"", "\"0s\"");
    let world = World::over(SHOP, &text, "").await;
    world.stages.channel_lease.give_up().await.unwrap();
    let mut first = (*world.config).clone();
    first.doorbell.safety_poll = Duration::from_secs(3600);
    first.doorbell.heartbeat = Duration::from_secs(3600);
    let mut second = first.clone();
    first.channel.remove("second");
    first.watch.remove("notes");
    second.channel.remove("main");
    second.watch.remove("home_delivery");
    (world, first, second)
}

/// An upgrade stops one of two daemons in order: the other heard the next change only by its safety poll.
#[tokio::test]
async fn a_daemon_that_stops_in_order_leaves_nobody_deaf() {
    let (world, first, second) = two().await;
    let (first, second) = (Running::start(first).await, Running::start(second).await);
    until(&world, ASLEEP).await;
    first.stop().await;
    world.sql("update delivery set note = 'ring twice' where id = 1").await;
    arrived(&world, 1).await;
    until(&world, ASLEEP).await;
    world.sql("update delivery set note = 'ring once' where id = 1").await;
    arrived(&world, 2).await;
    second.stop().await;
    // Nobody is there any more: writers need not ring.
    until(&world, "select last_value = 1 from rowbell.doorbell").await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_leaves_nobody_deaf() {
    let (world, first, second) = two().await;
    let (first, second) = (Running::start(first).await, Running::start(second).await);
    until(&world, ASLEEP).await;
    first.crash().await;
    world.sql("update delivery set note = 'ring twice' where id = 1").await;
    arrived(&world, 1).await;
    second.stop().await;
}

/// Nobody rings in a rush. The daemon that looks for all of them is killed there.
#[tokio::test]
async fn a_daemon_that_dies_in_a_rush_is_replaced_by_one_that_slept() {
    let (world, config) = world().await;
    let daemon = Running::start(config).await;
    until(&world, ASLEEP).await;
    let keeper = testbed::connect(&world.cluster.url("postgres")).await.unwrap();
    let rush = format!(
        "select pg_advisory_lock({BELL_LOCKS}, {KEEPER}); select pg_notify('rowbell', 'daemon of the story');
         select setval('rowbell.doorbell', 1)"
    );
    keeper.batch_execute(&rush).await.unwrap();
    drop(keeper);
    // Of this nobody is told.
    world.sql("update delivery set address = 'moved' where id = 1").await;
    arrived(&world, 1).await;
    until(&world, ASLEEP).await;
    daemon.stop().await;
}

/// Two daemons are woken by one change. The one that claims it is killed before its commit.
#[tokio::test]
async fn a_daemon_that_dies_while_it_claims_is_replaced_by_one_that_found_nothing_left() {
    let (world, config) = world().await;
    let daemon = Running::start(config).await;
    until(&world, ASLEEP).await;
    let other = testbed::connect(&world.cluster.url("postgres")).await.unwrap();
    other
        .batch_execute(&format!("begin; select pg_advisory_xact_lock({CLAIM_LOCK})"))
        .await
        .unwrap();
    world.sql("update delivery set address = 'moved' where id = 1").await;
    other.batch_execute("delete from rowbell.change").await.unwrap();
    world.sql("select pg_sleep(0.5)").await;
    assert_eq!(world.sandbox.count(), 0, "the other one has it");
    let waits = "select count(*) from pg_stat_activity where application_name = 'rowbell' and wait_event_type = 'Lock'";
    assert_eq!(world.value(waits).await, "0", "it does not wait for the rows of the other one");
    drop(other);
    arrived(&world, 1).await;
    daemon.stop().await;
}

/// The server process of a daemon hangs in the middle of a claim: nobody else may claim, and nobody said why.
#[tokio::test]
async fn a_claim_that_hangs_is_named_with_its_server_process() {
    let mut world = World::with("").await;
    let other = testbed::connect(&world.cluster.url("postgres")).await.unwrap();
    let lock = format!("begin; select pg_advisory_xact_lock({CLAIM_LOCK})");
    other.batch_execute(&lock).await.unwrap();
    let process: i32 = other.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    world.sql("update delivery set address = 'moved' where id = 1").await;
    for (passed, named) in [(0, None), (9, None), (1, Some(process)), (60, Some(process))] {
        world.pass(Duration::from_secs(passed));
        world.stages.claim.step().await.unwrap();
        assert_eq!(world.stages.claim.hanging_process, named, "{passed} s later");
    }
    other.batch_execute("rollback").await.unwrap();
    world.stages.claim.step().await.unwrap();
    assert_eq!(world.stages.claim.hanging_process, None);
    assert_eq!(world.value("select count(*) from rowbell.message").await, "1");
}

/// Whoever resumes a channel sees its messages leave, and need not wait for the daemon to look by itself.
#[tokio::test]
async fn what_a_person_lets_go_leaves_at_once() {
    let (world, config) = world().await;
    world.sql("insert into rowbell.pause (kind, name, reason) values ('channel', 'main', 'stocktaking')").await;
    let daemon = Running::start(config.clone()).await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    until(&world, "select count(*) = 1 from rowbell.message").await;
    until(&world, ASLEEP).await;
    let person = pool::get(&pool::connect(&config.database).unwrap()).await.unwrap();
    pauses::end(&person, "channel", "main").await.unwrap();
    let at_once = Duration::from_secs(8);
    world.sandbox.wait_for(1, at_once).await.unwrap();
    daemon.stop().await;
}
