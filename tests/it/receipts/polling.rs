//! Nobody tells; so rowbell asks what became of its messages.

use std::time::Duration;

use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use rowbell_lab::sandbox::{Delay, Fault, FaultRule, ReceiptOptions};

use crate::harness::{MARIA, World};

const MOVE: &str = "update delivery set address = 'moved' where id = 1";
const HOUR: Duration = Duration::from_secs(3_600);

/// Maria's message was accepted; what the provider then knows comes as these options say.
async fn sent(settings: &str, receipts: ReceiptOptions) -> World {
    let mut world = World::with_settings(settings).await;
    world.sandbox.set_receipts(receipts);
    world.sql(MOVE).await;
    world.settle().await;
    let planned = |counts: &rowbell_lab::sandbox::SandboxCounts| counts.receipts_pending == 0;
    world.sandbox.wait_until(Duration::from_secs(10), planned).await.unwrap();
    world
}

async fn later(world: &mut World, time: Duration) {
    world.pass(time);
    world.work().await;
}

async fn state(world: &World) -> String {
    world.value("select concat_ws(' ', state, reason, reason_text) from rowbell.message").await
}

async fn polling(world: &World) -> String {
    let sql = "select state || ' ' || (last_worked_at is not null) from rowbell.receipt_source where kind = 'polling'";
    let rows = world.db.query(sql, &[]).await.unwrap();
    rows.first().map_or_else(|| "never asked".to_owned(), |row| row.get(0))
}

#[tokio::test]
async fn a_site_without_a_webhook_gets_its_outcomes_by_asking() {
    let mut world = sent("", ReceiptOptions::at_once()).await;
    assert_eq!(state(&world).await, "sent", "it is not asked for at once");
    later(&mut world, Duration::from_secs(33)).await;
    assert_eq!(state(&world).await, "delivered");
    let told = "select string_agg(status || ' by ' || source, ', ' order by receipt_id) from rowbell.receipt";
    assert_eq!(world.value(told).await, "sent by poll, delivered by poll");
    assert_eq!(polling(&world).await, "works true");

    // It may yet be read: that is asked for a few hours more, and what is known is not stored again.
    let id = world.sandbox.seen(MARIA)[0].id.clone();
    later(&mut world, HOUR).await;
    world.sandbox.post_receipt("ODI371267300", &id, "read", None);
    later(&mut world, HOUR * 3).await;
    assert_eq!(state(&world).await, "read");
    assert_eq!(world.value("select count(*) from rowbell.receipt").await, "3");
    assert_eq!(world.value("select count(*) from rowbell.poll").await, "0", "read is the end");
}

#[tokio::test]
async fn where_a_webhook_told_the_end_nothing_is_asked() {
    let mut world = sent("", ReceiptOptions::none()).await;
    let id = world.sandbox.seen(MARIA)[0].id.clone();
    world
        .receipt(Receipt {
            provider_message_id: id,
            status: ReceiptStatus::Read,
            ..Receipt::default()
        })
        .await;
    later(&mut world, Duration::from_secs(33)).await;
    assert_eq!(world.value("select count(*) from rowbell.poll").await, "0");
    assert_eq!(polling(&world).await, "never asked");
}

/// green-api #602: no status ever comes. 100eyes and others: a phone that is off is not a failure.
#[tokio::test]
async fn what_is_never_heard_of_is_asked_for_less_and_less_and_then_said_to_be_lost() {
    let mut world = sent("", ReceiptOptions::none()).await;
    let mut asked = 0;
    for _ in 0..(24 * 4) {
        later(&mut world, HOUR).await;
        let count = "select coalesce(max(asked_count), 0) from rowbell.poll";
        asked = asked.max(world.value(count).await.parse::<u32>().unwrap());
    }
    assert!((14..=22).contains(&asked), "asked {asked} times in three days");
    assert_eq!(world.value("select count(*) from rowbell.poll").await, "0");
    let timeout = "select string_agg(status || ' by ' || source, ', ') from rowbell.receipt";
    assert_eq!(world.value(timeout).await, "other by timeout");
    let said = "sent accepted, and nothing was heard of its end for 72 h; it may still arrive";
    assert_eq!(state(&world).await, said);
    assert_eq!(world.value("select is_lost from rowbell_report.evidence").await, "true");

    let id = world.sandbox.seen(MARIA)[0].id.clone();
    let status = ReceiptStatus::Delivered;
    world.receipt(Receipt { provider_message_id: id, status, ..Receipt::default() }).await;
    assert_eq!(state(&world).await, "delivered", "later evidence counts");
    assert_eq!(world.value("select is_lost from rowbell_report.evidence").await, "false");
}

#[tokio::test]
async fn a_channel_whose_provider_cannot_be_asked_is_left_to_the_webhook_for_a_day() {
    let mut world = sent("", ReceiptOptions::at_once()).await;
    let missing = FaultRule::always(Fault::Refused { status: 404 }).on("hookInfo");
    world.sandbox.set_faults(vec![missing]);
    later(&mut world, Duration::from_secs(33)).await;
    assert_eq!(polling(&world).await, "missing false");
    world.sandbox.set_faults(vec![]);
    world.restart().await;
    later(&mut world, HOUR * 20).await;
    assert_eq!(state(&world).await, "sent", "nothing is asked, even after a restart");
    later(&mut world, HOUR * 10).await;
    assert_eq!(polling(&world).await, "works true", "one question a day finds out that it is back");
    assert_eq!(state(&world).await, "delivered");
}

#[tokio::test]
async fn a_provider_in_trouble_is_asked_again_later_and_nothing_is_lost() {
    let mut world = sent("", ReceiptOptions::at_once()).await;
    for fault in [Fault::Refused { status: 500 }, Fault::Garbage { accepted: true }] {
        world.sandbox.set_faults(vec![FaultRule::always(fault).on("hookInfo")]);
        later(&mut world, Duration::from_secs(150)).await;
        assert_eq!(polling(&world).await, "failing false");
        assert_eq!(state(&world).await, "sent");
    }
    world.sandbox.set_faults(vec![]);
    later(&mut world, Duration::from_secs(600)).await;
    assert_eq!(state(&world).await, "delivered");
}

/// An `ack` tells of a failure without code or time; the provider's own record has both.
#[tokio::test]
async fn a_failure_without_a_code_is_asked_for_once_more() {
    let receipts = ReceiptOptions {
        sent: Some(Delay::of(0)),
        failed_share: 1.0,
        delivered: Some(Delay::of(1)),
        ..ReceiptOptions::none()
    };
    let mut world = sent("", receipts).await;
    let id = world.sandbox.seen(MARIA)[0].id.clone();
    let ack = Receipt {
        provider_message_id: id,
        status: ReceiptStatus::Failed,
        error_text: Some("no".to_owned()),
        occurred_at: Some(world.now()),
        ..Receipt::default()
    };
    world.receipt(ack).await;
    assert_eq!(state(&world).await, "failed undeliverable no");
    later(&mut world, Duration::from_secs(33)).await;
    let code = "select first_error_code from rowbell_report.evidence";
    assert_eq!(world.value(code).await, "131026");
    later(&mut world, HOUR).await;
    assert_eq!(world.value("select count(*) from rowbell.poll").await, "0");
}

#[tokio::test]
async fn polling_can_be_switched_off() {
    let mut world = sent("[polling]\nenabled = false", ReceiptOptions::at_once()).await;
    later(&mut world, HOUR).await;
    assert_eq!(state(&world).await, "sent");
    assert_eq!(world.value("select count(*) from rowbell.poll").await, "0");
}
