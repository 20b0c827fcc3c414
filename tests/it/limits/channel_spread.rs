//! Several daemons with several channels: none waits idle while another one sends everything, and a channel that
//! changes hands keeps its limits.

use std::time::Duration;

use rowbell::app::Stages;
use rowbell::pipeline::context::stage::Stage as _;
use rowbell::postgres::operations::channel_moves;
use rowbell_lab::sandbox::LimitOptions;

use crate::capture::doorbell::{Running, until};
use crate::capture::shared_doorbell::NOTES;
use crate::harness::{CONFIG, SECOND, SHOP, World};

/// Deliveries on one channel, notes on the other; a phone bears one message in six seconds.
async fn world() -> World {
    let text = format!("{CONFIG}{SECOND}{NOTES}")
        .replace("\"20s\"", "\"0s\"")
        .replace("{settings}", "")
        .replace("{watch}", "")
        .replace("base_url ", "pair_burst = 1\npair_every = \"6s\"\nbase_url ");
    World::at_hand(SHOP, &text, [LimitOptions::default(); 2]).await
}

async fn note(world: &World, note: &str) {
    world.sql(&format!("update delivery set note = '{note}' where id = 1")).await;
}

async fn send(stages: &mut Stages) {
    while stages.claim.step().await.unwrap() == rowbell::pipeline::context::stage::Progress::Worked
    {
    }
    for compose in &mut stages.composes {
        compose.step().await.unwrap();
    }
    for deliver in &mut stages.delivers {
        deliver.step().await;
    }
    stages.settle.step().await.unwrap();
}

fn holds(stages: &Stages) -> Vec<&str> {
    let all = stages.context.channel_senders.keys().map(String::as_str);
    all.filter(|channel| stages.context.holds_lease(channel)).collect()
}

#[tokio::test]
async fn a_daemon_that_joins_is_handed_its_share_and_knows_what_was_sent() {
    let mut world = world().await;
    assert_eq!(holds(&world.stages), ["main", "second"]);
    note(&world, "ring twice").await;
    send(&mut world.stages).await;
    assert_eq!(world.sandbox.count(), 1);

    let mut joined = world.another().await;
    assert!(holds(&joined).is_empty(), "nothing is taken from one that sends");
    world.stages.channel_lease.step().await.unwrap();
    assert_eq!(holds(&world.stages), ["main"]);
    joined.channel_lease.step().await.unwrap();
    assert_eq!(holds(&joined), ["second"]);

    note(&world, "ring once").await;
    send(&mut joined).await;
    assert_eq!(
        world.sandbox.count(),
        1,
        "the phone was written to a moment ago, by the other daemon"
    );
    world.clock.advance(Duration::from_secs(6));
    joined.channel_lease.step().await.unwrap();
    send(&mut joined).await;
    assert_eq!(world.sandbox.count(), 2);
}

#[tokio::test]
async fn a_channel_changes_hands_between_two_messages_and_not_within_one() {
    let mut world = world().await;
    note(&world, "ring twice").await;
    world.stages.claim.step().await.unwrap();
    let mut joined = world.another().await;
    world.stages.channel_lease.step().await.unwrap();
    joined.channel_lease.step().await.unwrap();
    assert_eq!(holds(&world.stages), ["main", "second"], "a message is on its way");
    note(&world, "ring once").await;
    send(&mut world.stages).await;
    assert_eq!(world.sandbox.count(), 1, "nothing new is begun");
    world.stages.channel_lease.step().await.unwrap();
    joined.channel_lease.step().await.unwrap();
    assert_eq!((holds(&world.stages), holds(&joined)), (vec!["main"], vec!["second"]));
    world.clock.advance(Duration::from_secs(6));
    joined.channel_lease.step().await.unwrap();
    send(&mut joined).await;
    assert_eq!(world.sandbox.count(), 2);
}

/// A provider that hangs must not keep the channel: what is in flight then counts as sent now.
#[tokio::test]
async fn a_channel_does_not_wait_long_for_what_is_in_flight() {
    let mut world = world().await;
    note(&world, "ring twice").await;
    world.stages.claim.step().await.unwrap();
    let mut joined = world.another().await;
    world.stages.channel_lease.step().await.unwrap();
    world.clock.advance(Duration::from_secs(2));
    world.stages.channel_lease.step().await.unwrap();
    joined.channel_lease.step().await.unwrap();
    assert_eq!(holds(&joined), ["second"]);
    note(&world, "ring once").await;
    send(&mut joined).await;
    assert_eq!(world.sandbox.count(), 0, "the first one may be with the provider");
    send(&mut world.stages).await;
    assert_eq!(world.sandbox.count(), 0, "and is given back where it was not");
}

#[tokio::test]
async fn a_channel_that_a_person_moves_stays_where_it_was_moved_to() {
    let world = &mut world().await;
    let mut joined = world.another().await;
    let instance = joined.context.instance.clone();
    channel_moves::assign(&world.db, "main", &instance).await.unwrap();
    for _ in 0..3 {
        world.stages.channel_lease.step().await.unwrap();
        joined.channel_lease.step().await.unwrap();
    }
    assert_eq!((holds(&world.stages), holds(&joined)), (vec!["second"], vec!["main"]));
    let daemons = channel_moves::daemons(&world.db, world.now()).await.unwrap();
    assert_eq!(daemons.len(), 2, "{daemons:?}");

    joined.channel_lease.give_up().await.unwrap();
    world.stages.channel_lease.step().await.unwrap();
    assert_eq!(holds(&world.stages), ["main", "second"], "that daemon is gone");
}

/// Two daemons as they run: each sends on one channel within moments, and the last one on both.
#[tokio::test]
async fn daemons_that_run_share_the_channels_as_they_come_and_go() {
    let text = format!("{CONFIG}{SECOND}{NOTES}").replace("\"20s\"", "\"0s\"");
    let world = World::over(SHOP, &text, "").await;
    world.stages.channel_lease.give_up().await.unwrap();
    let config = (*world.config).clone();
    let first = Running::start(config.clone()).await;
    until(
        &world,
        "select count(leased_by) = 2 and count(distinct leased_by) = 1 from rowbell.channel",
    )
    .await;
    let second = Running::start(config).await;
    until(
        &world,
        "select count(leased_by) = 2 and count(distinct leased_by) = 2 from rowbell.channel",
    )
    .await;
    world.sql("update delivery set note = 'ring twice', address = 'moved' where id = 1").await;
    world.sandbox.wait_for(2, Duration::from_secs(10)).await.unwrap();
    first.stop().await;
    until(
        &world,
        "select count(leased_by) = 2 and count(distinct leased_by) = 1 from rowbell.channel",
    )
    .await;
    world.sql("update delivery set note = 'ring once', address = 'moved again' where id = 1").await;
    world.sandbox.wait_for(4, Duration::from_secs(10)).await.unwrap();
    second.stop().await;
}
