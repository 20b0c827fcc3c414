//! Providers say whole seconds, by clocks of their own: what is told of a message still stands in a possible order.

use std::time::Duration;

use jiff::{Timestamp, Unit};
use rowbell::cli::inspect::explain;
use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};

use crate::harness::{MARIA, World};

async fn explained(world: &World, key: &str) -> String {
    let told = explain::tell(&world.db, &world.config, "home_delivery", key, 10).await.unwrap();
    explain::as_text(&told, &world.config, world.now())
}

/// The receipts of Maria's message, at these times by the provider's clock.
async fn receipts(world: &World, delivered: Timestamp, read: Timestamp) {
    let id = world.sandbox.seen(MARIA).pop().unwrap().id;
    let receipts = [(ReceiptStatus::Delivered, delivered), (ReceiptStatus::Read, read)];
    let receipts = receipts.map(|(status, at)| Receipt {
        provider_message_id: id.clone(),
        status,
        occurred_at: Some(at),
        ..Receipt::default()
    });
    world.receipts(receipts.to_vec()).await;
}

/// The places of some words in a text, in the order in which the words are asked for.
fn in_order(text: &str, words: &[&str]) -> bool {
    let places: Vec<Option<usize>> = words.iter().map(|word| text.find(word)).collect();
    places.iter().all(Option::is_some) && places.is_sorted()
}

/// The phone has it in the same second in which it was sent, or the provider's clock is late by minutes: receipts stand
/// after the attempt, by whatever way they are read, and nothing took less than no time.
#[tokio::test]
async fn receipts_stand_after_their_attempt_and_nothing_takes_less_than_no_time() {
    for late in [Duration::ZERO, Duration::from_secs(300)] {
        let mut world = World::new().await;
        world.sql("update delivery set address = 'A' where id = 1").await;
        world.settle().await;
        let second = world.now().round(Unit::Second).unwrap() - Duration::from_secs(1) - late;
        receipts(&world, second, second).await;
        let text = explained(&world, "1").await;
        let steps =
            ["attempt 1 on channel", "attempt 1: accepted", "receipt: delivered", "receipt: read"];
        assert!(in_order(&text, &steps), "{text}");
        let story = world
            .value("select string_agg(event, ', ' order by happened_at, step) from rowbell_report.change_story")
            .await;
        let steps = ["attempt begun", "attempt ended", "receipt"];
        assert!(in_order(&story, &steps), "{story}");
        let below =
            "select count(*) from rowbell_report.latency where p50_seconds < 0 or p99_seconds < 0";
        assert_eq!(world.value(below).await, "0");
        let times =
            "select sent_at <= delivered_at and delivered_at <= read_at from rowbell.message";
        assert_eq!(world.value(times).await, "true");
        let again = "select updated_at from rowbell.message";
        let written = world.value(again).await;
        receipts(&world, second, second).await;
        assert_eq!(world.value(again).await, written, "what is said again moves nothing");
    }
}

/// Who is told, who would have been told, and who made the change: in `explain` and in the views. No phone is whole.
#[tokio::test]
async fn explain_says_for_whom_a_message_is_and_who_changed_the_row() {
    let mut world = World::new().await;
    world
        .sql("insert into rowbell.opt_out (phone, source) values ('12122000001', 'operator')")
        .await;
    world
        .sql("begin; set local rowbell.actor = 'ana@desk'; update delivery set address = 'A' where id = 1; commit")
        .await;
    world.settle().await;
    let text = explained(&world, "1").await;
    assert!(text.contains("Message 1 for …0001: skipped"), "{text}");
    assert!(text.contains("update by ana@desk\n"), "{text}");
    assert!(!text.contains(MARIA), "{text}");
    let view = "select recipient_key || ' ' || reason || ' ' || changed_by[1] from rowbell_report.message_status";
    assert_eq!(world.value(view).await, format!("{MARIA} opted_out ana@desk"));
}
