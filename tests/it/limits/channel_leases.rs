//! Several daemons on one database: each channel is sent by one of them.

use std::time::Duration;

use rowbell::app::Stages;
use rowbell::pipeline::context::channel_sender::HeldLease;
use rowbell::pipeline::context::stage::{Progress, Stage as _};
use rowbell::pipeline::deliver::channel_lease::LEASE;

use crate::harness::{CONFIG, MARIA, SHOP, World};

async fn world() -> World {
    World::over(SHOP, &CONFIG.replace("\"20s\"", "\"0s\""), "").await
}

/// All that a daemon does with a change.
async fn work(stages: &mut Stages) {
    let mut progress = Progress::Worked;
    while progress == Progress::Worked {
        progress = stages.claim.step().await.unwrap();
        for compose in &mut stages.composes {
            compose.step().await.unwrap();
        }
        for deliver in &mut stages.delivers {
            deliver.step().await;
        }
        stages.settle.step().await.unwrap();
    }
}

async fn change(world: &World, address: &str) {
    world.sql(&format!("update delivery set address = '{address}' where id = 1")).await;
}

#[tokio::test]
async fn a_second_daemon_waits_and_is_there_at_once_when_the_first_one_stops() {
    let mut world = world().await;
    let mut second = world.another().await;
    change(&world, "2 New Street").await;
    second.channel_lease.step().await.unwrap();
    work(&mut second).await;
    assert_eq!(world.sandbox.count(), 0, "the channel is not its own");
    assert_eq!(world.value("select count(*) from rowbell.change").await, "1");
    work(&mut world.stages).await;
    assert_eq!(world.sandbox.count(), 1);

    world.stages.channel_lease.give_up().await.unwrap();
    change(&world, "3 New Street").await;
    work(&mut world.stages).await;
    assert_eq!(world.sandbox.count(), 1);
    assert_eq!(second.channel_lease.step().await.unwrap(), Progress::Worked);
    work(&mut second).await;
    assert_eq!(world.read(MARIA).len(), 2);
    assert_eq!(world.value("select epoch from rowbell.channel where channel = 'main'").await, "2");
}

#[tokio::test]
async fn a_daemon_that_died_is_replaced_at_once_and_one_that_hangs_when_its_lease_ends() {
    let mut world = world().await;
    world.crash().await;
    let mut second = world.another().await;
    change(&world, "2 New Street").await;
    world.clock.advance(LEASE - Duration::from_secs(1));
    second.channel_lease.step().await.unwrap();
    assert!(!second.context.sends(), "its sessions are there, and its lease holds");
    world.clock.advance(Duration::from_secs(1));
    second.channel_lease.step().await.unwrap();
    work(&mut second).await;
    assert_eq!(world.read(MARIA).len(), 1);
}

/// It had leased a message and fell asleep before the request. Meanwhile another daemon sends.
#[tokio::test]
async fn a_daemon_that_wakes_up_late_sends_nothing() {
    let mut world = world().await;
    change(&world, "2 New Street").await;
    world.stages.claim.step().await.unwrap();
    assert_eq!(world.value("select state from rowbell.message").await, "sending");
    let mut second = world.another().await;
    world.clock.advance(LEASE);
    second.channel_lease.step().await.unwrap();
    assert!(second.context.sends());

    for deliver in &mut world.stages.delivers {
        deliver.step().await;
    }
    world.stages.settle.step().await.unwrap();
    assert_eq!(world.sandbox.count(), 0);
    let attempt = "select result || ': ' || error_text from rowbell.attempt";
    assert_eq!(world.value(attempt).await, "not_sent: another daemon sends on the channel now");

    // Even if its clock stood still with it, the database knows better.
    let context = world.stages.context.clone();
    let until = world.now() + LEASE;
    context.channel_senders["main"].hold(HeldLease { epoch: 1, until });
    change(&world, "3 New Street").await;
    world.clock.advance(Duration::from_secs(5));
    work(&mut world.stages).await;
    assert_eq!(world.sandbox.count(), 0);
    assert_eq!(world.value("select count(*) from rowbell.attempt").await, "1", "nothing is leased");
    world.stages.channel_lease.step().await.unwrap();
    assert!(!context.sends(), "it finds out");

    second.channel_lease.step().await.unwrap();
    work(&mut second).await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1);
    assert!(read[0].contains("3 New Street"), "{read:?}");
}
