//! Hearing is no matter of trust: a session that hears nothing is found out, and what cannot be heard is
//! looked for.

use std::time::Duration;

use futures_util::future::poll_fn;
use rowbell_lab::demo::testbed;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::capture::doorbell::{ASLEEP, Running, SOON, arrived, until, world};
use crate::delivery::wire::Wire;
use crate::harness::{World, still_town};

/// pg-boss #850: the other end is gone and nobody was told. BullMQ #4729: its dead client was kept for ever.
#[tokio::test]
async fn a_listening_session_that_falls_silent_is_noticed_and_replaced_each_time() {
    let (world, mut config) = world().await;
    let wire = Wire::to(world.cluster.port()).await;
    config.database.url = wire.url("postgres");
    config.doorbell.heartbeat = Duration::from_secs(1);
    let daemon = Running::start(config).await;
    for (times, address) in ["2 New Street", "3 New Street"].into_iter().enumerate() {
        until(&world, ASLEEP).await;
        wire.silence_listeners();
        world.sql(&format!("update delivery set address = '{address}' where id = 1")).await;
        arrived(&world, times as u64 + 1).await;
    }
    daemon.stop().await;
}

/// queue_classic #184, que #395, PostgREST #1542: LISTEN through a pooler is accepted, and nothing is heard.
#[tokio::test]
async fn behind_a_pooler_that_swallows_rings_changes_are_looked_for() {
    let (world, mut config) = world().await;
    let wire = Wire::to(world.cluster.port()).await;
    wire.swallow_rings();
    config.database.url = wire.url("postgres");
    // It takes a while until it has found that out; from then on it counts as ready.
    let daemon = Running::start(config).await;
    for (times, address) in ["2 New Street", "3 New Street"].into_iter().enumerate() {
        world.sql(&format!("update delivery set address = '{address}' where id = 1")).await;
        arrived(&world, times as u64 + 1).await;
        // A daemon that believed what the pooler said would be asleep after this while.
        world.sql("select pg_sleep(2)").await;
    }
    daemon.stop().await;
}

/// A session of somebody who listens in.
async fn ear(world: &World) -> (Client, UnboundedReceiver<String>) {
    let url = world.cluster.url("postgres");
    let (client, mut connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    let (heard, hears) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(ring) = message {
                let _ = heard.send(ring.payload().to_owned());
            }
        }
    });
    client.batch_execute("listen rowbell").await.unwrap();
    (client, hears)
}

/// Hasura #6263, que #229: a listener that sits in a transaction lets the queue of notifications fill up, and
/// then no commit that rings goes through. Who does not ring cannot fill it.
#[tokio::test]
async fn nobody_rings_for_a_daemon_that_is_awake_or_away_and_a_ring_carries_nothing() {
    let world = World::new().await;
    let (_client, mut hears) = ear(&world).await;
    let edits = "begin; update delivery set address = address || '!'; update delivery set status = status || '!'; commit;";
    world.sql(edits).await;
    world.sql("select setval('rowbell.doorbell', 1)").await;
    for _ in 0..50 {
        world.sql(edits).await;
    }
    world.sql("select setval('rowbell.doorbell', 2)").await;
    world.sql(edits).await;
    world.sql("notify rowbell, 'the end'").await;
    assert_eq!(hears.recv().await.as_deref(), Some(""), "one ring for a transaction");
    assert_eq!(hears.recv().await.as_deref(), Some("the end"));
}

/// hull #273, graphile #224: a database that is away made a busy loop and a flood of log lines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_costs_little_and_is_spoken_of_once() {
    let mut testbed = still_town().await;
    let daemon = testbed.daemon().await.unwrap();
    let before = daemon.usage().unwrap().cpu;
    testbed.cluster.stop("immediate").unwrap();
    // So long it is away.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let used = daemon.usage().unwrap().cpu - before;
    testbed.cluster.launch().unwrap();
    let db = testbed::connect(&testbed.url()).await.unwrap();
    db.batch_execute(
        "update customer set whatsapp_opt_in = true; update delivery set address = 'moved' where id = 1",
    )
    .await
    .unwrap();
    testbed.sandbox.wait_for(1, SOON).await.unwrap();
    assert!(daemon.stop().await.unwrap().success());
    assert!(used < Duration::from_secs(1), "{used:?} of CPU within five seconds");
    let log = testbed.log();
    let mut complaints: Vec<&str> =
        log.lines().filter_map(|line| line.split_once(" WARN ")).map(|(_, said)| said).collect();
    assert!(!complaints.is_empty(), "{log}");
    let said = complaints.len();
    complaints.sort_unstable();
    complaints.dedup();
    assert_eq!(complaints.len(), said, "each of them once: {log}");
    assert!(said <= 20, "{log}");
}
