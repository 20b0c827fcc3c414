//! What becomes of a message that did not leave: when it is tried again, and what ends it.

use std::time::Duration;

use rowbell::domain::receipt::{Receipt, ReceiptStatus};
use rowbell::sandbox::{Fault, FaultRule};

use crate::harness::{MARIA, World};

const MOVE: &str = "update delivery set address = 'moved' where id = 1";
const HOUR: Duration = Duration::from_secs(3_600);

/// A world in which Maria's message has met these faults.
async fn after(rules: Vec<FaultRule>) -> World {
    let mut world = World::new().await;
    world.sandbox.set_faults(rules);
    world.sql(MOVE).await;
    world.settle().await;
    world
}

async fn later(world: &mut World, time: Duration) {
    world.pass(time);
    world.work().await;
}

/// Seconds from now to the next attempt.
async fn wait_of(world: &World) -> i64 {
    let due = world.value("select extract(epoch from due_at)::bigint from rowbell.queue").await;
    due.parse::<i64>().unwrap() - world.now().as_second()
}

/// The provider says that the message with this id failed with `code`.
async fn failed(world: &World, id: &str, code: Option<i32>) {
    say(world, id, ReceiptStatus::Failed, code).await;
}

async fn say(world: &World, id: &str, status: ReceiptStatus, code: Option<i32>) {
    world
        .receipt(Receipt {
            provider_message_id: id.to_owned(),
            status,
            error_code: code,
            error_text: code.map(|_| "as the provider says".to_owned()),
            occurred_at: Some(world.now()),
            raw: String::new(),
        })
        .await;
}

#[tokio::test]
async fn waits_grow_and_are_spread_and_retry_after_is_the_least() {
    let mut world = after(vec![FaultRule::always(Fault::Refused { status: 500 })]).await;
    let mut wait = 0;
    for _ in 0..6 {
        let attempts = world.value("select attempt_count from rowbell.message").await;
        let ceiling = 2_i64.pow(attempts.parse().unwrap()).min(600);
        wait = wait_of(&world).await;
        assert!((-1..=ceiling).contains(&wait), "{wait} s of at most {ceiling} s");
        later(&mut world, Duration::from_secs((wait + 1).try_into().unwrap())).await;
    }
    assert!(wait < 600, "{wait} s");
    let asked = Fault::TooManyRequests { retry_after: Some(1_000) };
    world.sandbox.set_faults(vec![FaultRule::next(1, asked)]);
    later(&mut world, Duration::from_secs(600)).await;
    let wait = wait_of(&world).await;
    assert!((990..=1_000).contains(&wait), "{wait} s");
    later(&mut world, Duration::from_secs(900)).await;
    assert_eq!(world.sandbox.count(), 0, "the provider asked for more patience");
    later(&mut world, Duration::from_secs(101)).await;
    assert_eq!(world.read(MARIA).len(), 1);
}

/// OpenEMR #11907: catching up needs a cut-off, or people hear what is over.
#[tokio::test]
async fn a_message_that_was_tried_in_vain_until_it_was_too_late_is_expired() {
    let mut world = World::with("expires_at = \"window_end\"").await;
    world.sandbox.set_faults(vec![FaultRule::always(Fault::Refused { status: 503 })]);
    world
        .sql("update delivery set window_start = now(), window_end = now() + interval '3 h' where id = 1")
        .await;
    world.settle().await;
    for _ in 0..10 {
        later(&mut world, HOUR / 2).await;
    }
    let message = world.messages().await.join("");
    assert!(message.starts_with("1 failed expired 1 change(s)"), "{message}");
    let said = world.value("select reason_text from rowbell.message").await;
    assert!(said.starts_with("expires_at of the watch was "), "{said}");
    assert_eq!(world.value("select count(*) from rowbell.queue").await, "0");
}

/// Story of the pair limit that nobody encodes (lessons.md, WhatsApp-side limits).
#[tokio::test]
async fn one_recipient_who_gets_too_much_does_not_slow_down_the_others() {
    let mut world = World::new().await;
    let pair = FaultRule::always(Fault::Code { code: 131_056 }).for_phone(MARIA);
    world.sandbox.set_faults(vec![pair]);
    world.sql("update delivery set address = 'moved'").await;
    world.settle().await;
    assert_eq!(
        world.messages().await,
        ["1 scheduled 1 change(s) 1 attempt(s)", "2 sent 1 change(s) 1 attempt(s)"]
    );
    world.sandbox.set_faults(vec![]);
    later(&mut world, Duration::from_secs(5)).await;
    assert_eq!(world.read(MARIA).len(), 1);
}

#[tokio::test]
async fn what_whatsapp_holds_back_for_now_is_tried_after_a_day_and_at_most_three_times() {
    let mut world = after(vec![FaultRule::always(Fault::Code { code: 131_049 })]).await;
    later(&mut world, HOUR * 23).await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
    later(&mut world, HOUR * 4).await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 2 attempt(s)"]);
    later(&mut world, HOUR * 54).await;
    assert_eq!(world.messages().await, ["1 failed undeliverable 1 change(s) 3 attempt(s)"]);
}

/// The same error by receipt, hours or days after the acceptance: a new attempt with an id of its
/// own (Chatwoot #14120: the retry that never calls the provider because the old id is still set).
#[tokio::test]
async fn a_receipt_that_says_not_now_leads_to_a_new_attempt_with_its_own_id() {
    let mut world = after(vec![]).await;
    let first = world.sandbox.seen(MARIA)[0].id.clone();
    failed(&world, &first, Some(131_049)).await;
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
    world.sql("update delivery set address = 'newer' where id = 1").await;
    world.work().await;
    later(&mut world, HOUR * 27).await;
    let seen = world.sandbox.seen(MARIA);
    assert_eq!(seen.len(), 2);
    assert!(seen[1].text.contains("1 Main Street → newer"), "the present: {:?}", seen[1].text);
    assert_eq!(world.messages().await, ["1 sent 2 change(s) 2 attempt(s)"]);

    // The evidence about the first attempt comes once more: it says nothing about the second.
    failed(&world, &first, Some(131_049)).await;
    failed(&world, &first, Some(131_026)).await;
    assert_eq!(world.messages().await, ["1 sent 2 change(s) 2 attempt(s)"]);
    failed(&world, &seen[1].id, Some(131_026)).await;
    assert_eq!(world.messages().await, ["1 failed undeliverable 2 change(s) 2 attempt(s)"]);
}

/// Chatwoot #13377: delivered, and failed all the same.
#[tokio::test]
async fn what_arrived_after_all_is_not_sent_again() {
    let mut world = after(vec![]).await;
    let id = world.sandbox.seen(MARIA)[0].id.clone();
    failed(&world, &id, Some(131_049)).await;
    say(&world, &id, ReceiptStatus::Delivered, None).await;
    assert_eq!(world.messages().await, ["1 delivered 1 change(s) 1 attempt(s)"]);
    later(&mut world, HOUR * 30).await;
    assert_eq!(world.read(MARIA).len(), 1);
}

#[tokio::test]
async fn what_arrived_after_all_does_not_swallow_a_newer_change() {
    let mut world = after(vec![]).await;
    let id = world.sandbox.seen(MARIA)[0].id.clone();
    failed(&world, &id, Some(131_049)).await;
    world.sql("update delivery set address = 'newer' where id = 1").await;
    world.work().await;
    say(&world, &id, ReceiptStatus::Delivered, None).await;
    later(&mut world, HOUR * 27).await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2);
    assert!(read[1].contains("→ newer"), "{read:?}");
}

#[tokio::test]
async fn a_message_that_is_taken_up_again_gives_way_to_a_newer_one() {
    let mut world = after(vec![]).await;
    let first = world.sandbox.seen(MARIA)[0].id.clone();
    world.sql("update delivery set address = 'newer' where id = 1").await;
    world.settle().await;
    failed(&world, &first, Some(131_049)).await;
    assert_eq!(
        world.messages().await,
        ["1 skipped superseded 1 change(s) 1 attempt(s)", "1 sent 1 change(s) 1 attempt(s)"]
    );
}
