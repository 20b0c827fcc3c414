//! Clocks that are wrong, and are set right. A host resumes, NTP steps a clock that was ahead, two hosts disagree: what
//! waits loses about a second by it.

use std::time::Duration;

use jiff::SignedDuration;
use rowbell::clock::Clock;
use rowbell_lab::sandbox::LimitOptions;

use crate::capture::doorbell::{Running, arrived, until, world};
use crate::harness::{CONFIG, SHOP, World};

/// Due times begin with the clock of the database: a daemon a minute behind it sent a minute late.
#[tokio::test]
async fn a_daemon_whose_clock_is_behind_sends_at_once() {
    let (world, config) = world().await;
    let clock = Clock::system_off(SignedDuration::from_mins(-1));
    let daemon = Running::start_with(config, clock).await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    arrived(&world, 1).await;
    daemon.stop().await;
}

/// If it hangs, others take over when its lease ends: by their time, not an hour later by its own.
#[tokio::test]
async fn a_daemon_whose_clock_is_ahead_can_be_replaced() {
    let (world, config) = world().await;
    let clock = Clock::system_off(SignedDuration::from_hours(1));
    let daemon = Running::start_with(config, clock).await;
    until(
        &world,
        "select bool_and(lease_expires_at < now() + interval '15 s') from rowbell.channel",
    )
    .await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    arrived(&world, 1).await;
    daemon.stop().await;
}

async fn at_hand(settings: &str) -> World {
    let text = CONFIG
        .replace("\"20s\"", "\"0s\"")
        .replace("\"100000/s\"", settings)
        .replace("{settings}", "")
        .replace("{watch}", "");
    World::at_hand(SHOP, &text, [LimitOptions::default(); 2]).await
}

/// go-limiter #41: nothing left until the clock had caught up, an hour for an hour.
#[tokio::test]
async fn a_clock_that_is_set_back_stops_no_channel() {
    let mut world = at_hand("\"10/s\"\npair_burst = 1000").await;
    world.sql("insert into delivery select i, 1, 'planned', now(), now(), 'x' from generate_series(10, 42) i; delete from rowbell.change").await;
    world.sql("update delivery set address = 'moved' where id between 10 and 12").await;
    world.pass(Duration::from_secs(1));
    world.work().await;
    world.clock.set_back(Duration::from_secs(600));
    world.sql("update delivery set address = 'moved' where id between 13 and 42").await;
    for _ in 0..50 {
        world.pass(Duration::from_millis(100));
        world.work().await;
    }
    assert_eq!(world.sandbox.count(), 33, "33 at 10 a second within 6 seconds");
}

/// What waits for a phone to bear another message, or for the next attempt, has a time of the old clock.
#[tokio::test]
async fn what_was_put_off_by_a_clock_that_is_set_back_is_due_as_much_earlier() {
    let mut world = at_hand("\"100000/s\"\npair_burst = 1\npair_every = \"6s\"").await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.work().await;
    world.sql("update delivery set address = 'moved again' where id = 1").await;
    world.work().await;
    assert_eq!(world.sandbox.count(), 1);
    let by = Duration::from_secs(600);
    world.clock.set_back(by);
    let client = world.stages.context.pool.get().await.unwrap();
    world.stages.channel_lease.set_back(&client, by.try_into().unwrap()).await.unwrap();
    drop(client);
    world.pass(Duration::from_secs(7));
    world.work().await;
    assert_eq!(world.sandbox.count(), 2);
}

/// Captured before the clock of the server was set back, claimed after it.
#[tokio::test]
async fn a_change_of_the_future_waits_for_its_quiet_period_only() {
    let mut world = at_hand("\"100000/s\"").await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.sql("update rowbell.change set changed_at = changed_at + interval '3 hours'").await;
    world.work().await;
    assert_eq!(world.sandbox.count(), 1);
}
