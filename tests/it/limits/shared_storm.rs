//! Storms within a minute: what several daemons claim of one watch, or one after the other, is counted together.

use rowbell::app::Stages;
use rowbell::pipeline::context::stage::{Progress, Stage as _};
use rowbell_lab::sandbox::LimitOptions;

use crate::capture::shared_doorbell::NOTES;
use crate::harness::{CONFIG, SECOND, SHOP, World};

/// Deliveries on one channel, notes on the other, each of them sent by one of two daemons; both of them claim what both
/// tables of the business change.
async fn two(storm: &str, count: usize) -> (World, Stages) {
    let text = format!("{CONFIG}{SECOND}{NOTES}")
        .replace("\"20s\"", "\"0s\"")
        .replace("{settings}", "")
        .replace("{watch}", storm);
    let mut world = World::at_hand(SHOP, &text, [LimitOptions::default(); 2]).await;
    world
        .sql(&format!(
            "insert into delivery select i, 1 + i % 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'start'
               from generate_series(101, {}) i; delete from rowbell.change",
            100 + count
        ))
        .await;
    let mut joined = world.another().await;
    world.stages.channel_lease.step().await.unwrap();
    joined.channel_lease.step().await.unwrap();
    assert!(world.stages.context.holds_lease("main") && joined.context.holds_lease("second"));
    (world, joined)
}

async fn claim(stages: &mut Stages) {
    while stages.claim.step().await.unwrap() == Progress::Worked {}
}

async fn moved(world: &World, id: usize) {
    world.sql(&format!("update delivery set address = 'moved' where id = {id}")).await;
}

async fn held(world: &World) -> String {
    world.value("select concat(count(*), ' of ', (select count(*) from rowbell.hold)) from rowbell.queue where state = 'held'").await
}

/// A program gone wild changes rows one by one, and each daemon claims half of them.
#[tokio::test]
async fn two_daemons_notice_together_that_too_many_rows_change() {
    let (mut world, mut joined) = two("storm = { transaction = 0, minute = 20 }", 30).await;
    for id in 101..=120 {
        moved(&world, id).await;
        claim(if id % 2 == 0 { &mut joined } else { &mut world.stages }).await;
    }
    assert_eq!(held(&world).await, "0 of 0", "twenty may change");
    moved(&world, 121).await;
    claim(&mut joined).await;
    let held_by_then = held(&world).await;
    assert!(held_by_then.ends_with(" of 1") && !held_by_then.starts_with("0 "), "{held_by_then}");
    // The other one goes on with the same hold.
    moved(&world, 122).await;
    claim(&mut world.stages).await;
    moved(&world, 123).await;
    claim(&mut joined).await;
    assert!(held(&world).await.ends_with(" of 1"));
    let state = "select string_agg(state::text, ' ' order by message_id) from rowbell.message where entity_key in ('121', '122', '123')";
    assert_eq!(world.value(state).await, "held held held");
}

/// The daemon is started anew, or another one takes its channels over, in the middle of the storm.
#[tokio::test]
async fn a_daemon_that_starts_counts_what_was_opened_within_the_last_minute() {
    let (mut world, _) = two("storm = { transaction = 0, minute = 20 }", 30).await;
    for id in 101..=115 {
        moved(&world, id).await;
        claim(&mut world.stages).await;
    }
    world.restart().await;
    // Another watch is the first to tell something then.
    world.sql("update delivery set note = 'ring twice' where id = 1").await;
    claim(&mut world.stages).await;
    for id in 116..=121 {
        moved(&world, id).await;
        claim(&mut world.stages).await;
    }
    assert!(held(&world).await.ends_with(" of 1"));
}

/// The site lets bulk edits leave: one by one daemon, and an ordinary change by the other soon after.
#[tokio::test]
async fn a_bulk_edit_that_may_leave_is_no_storm_for_the_other_daemon() {
    let (mut world, mut joined) = two("storm = { transaction = 0, minute = 20 }", 2_100).await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    claim(&mut world.stages).await;
    assert_eq!(world.value("select count(*) from rowbell.message").await, "2100");
    moved(&world, 1).await;
    claim(&mut joined).await;
    assert_eq!(held(&world).await, "0 of 0");
}
