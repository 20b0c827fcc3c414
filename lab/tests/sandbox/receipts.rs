//! How word of a message's fate comes: by webhook in good and bad order, and when asked.

use rowbell::domain::message::receipt::ReceiptStatus::{Delivered, Failed, Read, Sent};
use rowbell::provider::onemsg::webhook_payload;
use rowbell_lab::sandbox::{Delay, Form, Outcome, ReceiptOptions, Words};
use serde_json::json;

use super::desk::{CHANNEL, DEADLINE, Desk, PHONE};
use super::inbox::{Inbox, words};

/// Sent, delivered and read at once, one POST at a time so that their order is that of the plan.
fn at_once() -> ReceiptOptions {
    ReceiptOptions {
        read: Some(Delay::of(2)),
        read_share: 1.0,
        parallel: 1,
        ..ReceiptOptions::at_once()
    }
}

async fn watched(options: ReceiptOptions) -> (Desk, Inbox) {
    let desk = Desk::with(options);
    let inbox = Inbox::open().await;
    desk.sandbox.set_webhook(CHANNEL, std::slice::from_ref(&inbox.url));
    (desk, inbox)
}

#[tokio::test]
async fn a_message_is_sent_delivered_and_read() {
    let (desk, inbox) = watched(at_once()).await;
    let id = desk.send(PHONE).await;
    let receipts = inbox.wait_for(3).await;
    assert_eq!(words(&receipts), [Sent, Delivered, Read]);
    assert!(receipts.iter().all(|receipt| receipt.provider_message_id == id));
    let first = webhook_payload::parse(&inbox.bodies()[0]).unwrap();
    assert_eq!(first.instance_id.as_deref(), Some(CHANNEL));
}

#[tokio::test]
async fn every_form_of_a_receipt_says_the_same() {
    for form in [Form::Ack, Form::Hooks, Form::Raw] {
        for style in [Words::Current, Words::Older] {
            let options = ReceiptOptions { form, words: style, ..at_once() };
            let (desk, inbox) = watched(options).await;
            desk.send(PHONE).await;
            assert_eq!(words(&inbox.wait_for(3).await), [Sent, Delivered, Read], "{form:?}");
            desk.send(&Outcome::Undeliverable.phone().unwrap()).await;
            let receipts = inbox.wait_for(5).await;
            assert_eq!(words(&receipts[3..]), [Sent, Failed], "{form:?} {style:?}");
            assert_eq!(receipts[4].error_code, Some(131026), "{form:?}: in its words or its code");
        }
    }
}

#[tokio::test]
async fn each_reserved_phone_fails_in_its_own_way() {
    let (desk, inbox) = watched(at_once()).await;
    let cases = [
        (Outcome::OptedOut, vec![Sent, Failed], Some(131050)),
        (Outcome::Experiment, vec![Sent, Failed], Some(130472)),
        (Outcome::Unhealthy, vec![Sent, Failed], Some(131049)),
        (Outcome::PhoneOff, vec![Sent], None),
        (Outcome::ReadOnly, vec![Sent, Read], None),
        (Outcome::FailedThenDelivered, vec![Sent, Failed, Delivered], Some(131026)),
        (Outcome::DeliveredThenFailed, vec![Sent, Delivered, Failed], Some(131026)),
    ];
    let mut before = 0;
    for (outcome, expected, code) in cases {
        desk.send(&outcome.phone().unwrap()).await;
        let receipts = inbox.wait_for(before + expected.len()).await;
        let own = &receipts[before..];
        assert_eq!(words(own), expected, "{outcome:?}");
        assert_eq!(own.iter().find_map(|receipt| receipt.error_code), code, "{outcome:?}");
        before = receipts.len();
    }
}

#[tokio::test]
async fn an_ack_has_no_code_and_its_words_are_enough_to_know_what_to_do() {
    let (desk, inbox) = watched(at_once()).await;
    let codes = [
        368, 130429, 130472, 130497, 131000, 131016, 131021, 131026, 131031, 131042, 131048,
        131049, 131050, 131056, 131057, 132000, 132001, 132007, 132015, 132016, 133010,
    ];
    for (before, code) in codes.into_iter().enumerate() {
        desk.sandbox.post_receipt(CHANNEL, "wamid.any", "failed", Some(code));
        let receipts = inbox.wait_for(before + 1).await;
        assert_eq!(receipts[before].error_code, Some(code), "{:?}", receipts[before].error_text);
    }
}

#[tokio::test]
async fn receipts_may_come_twice() {
    let (desk, inbox) = watched(ReceiptOptions { twice_share: 1.0, ..at_once() }).await;
    desk.send(PHONE).await;
    let receipts = inbox.wait_for(6).await;
    let mut found = words(&receipts);
    found.dedup();
    assert_eq!((receipts.len(), found), (6, vec![Sent, Delivered, Read]));
}

#[tokio::test]
async fn receipts_may_come_in_the_wrong_order() {
    let (desk, inbox) = watched(ReceiptOptions { reversed_share: 1.0, ..at_once() }).await;
    desk.send(PHONE).await;
    assert_eq!(words(&inbox.wait_for(3).await), [Read, Delivered, Sent]);
}

#[tokio::test]
async fn receipts_may_come_late() {
    let late = |ms| ReceiptOptions { late_share: 1.0, late: Delay::of(ms), ..at_once() };
    let (desk, inbox) = watched(late(3_600_000)).await;
    desk.send(PHONE).await;
    desk.sandbox.set_receipts(late(30));
    let second = desk.send(PHONE).await;
    let receipts = inbox.wait_for(3).await;
    assert!(receipts.iter().all(|receipt| receipt.provider_message_id == second));
    assert_eq!(desk.sandbox.counts().receipts_pending, 3, "the first message's are still to come");
}

#[tokio::test]
async fn read_may_come_without_delivered_and_receipts_for_strangers_along_with_ours() {
    let options = ReceiptOptions { skip_delivered_share: 1.0, foreign_share: 1.0, ..at_once() };
    let (desk, inbox) = watched(options).await;
    let id = desk.send(PHONE).await;
    let receipts = inbox.wait_for(3).await;
    let (ours, foreign): (Vec<_>, Vec<_>) =
        receipts.into_iter().partition(|receipt| receipt.provider_message_id == id);
    assert_eq!((words(&ours), foreign.len()), (vec![Sent, Read], 1));
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_200_gets_the_same_again() {
    let desk = Desk::with(at_once());
    let inbox = Inbox::answering(&[500, 503]).await;
    desk.sandbox.set_webhook(CHANNEL, std::slice::from_ref(&inbox.url));
    desk.sandbox.set_receipts(ReceiptOptions { delivered: None, read: None, ..at_once() });
    desk.send(PHONE).await;
    assert_eq!(words(&inbox.wait_for(3).await), [Sent, Sent, Sent]);
    let done = desk.sandbox.wait_until(DEADLINE, |counts| counts.items_pending == 0).await.unwrap();
    assert_eq!((done.posts, done.posts_failed, done.items_acknowledged), (3, 2, 1));
}

#[tokio::test]
async fn without_guaranteed_hooks_there_is_one_try() {
    let desk = Desk::with(ReceiptOptions { delivered: None, read: None, ..at_once() });
    let inbox = Inbox::answering(&[500]).await;
    desk.sandbox.set_webhook(CHANNEL, std::slice::from_ref(&inbox.url));
    let (status, said) =
        desk.post(&desk.method("settings"), &json!({ "guaranteedHooks": false })).await;
    assert_eq!((status, &said["update"]), (200, &json!({ "guaranteedHooks": false })));
    desk.send(PHONE).await;
    let done =
        desk.sandbox.wait_until(DEADLINE, |counts| counts.posts_given_up == 1).await.unwrap();
    assert_eq!((done.posts, inbox.receipts().len()), (1, 1));
}

#[tokio::test]
async fn every_url_gets_every_receipt_and_none_without_ack_notifications() {
    let desk = Desk::with(at_once());
    let inboxes = [Inbox::open().await, Inbox::open().await];
    let urls: Vec<String> = inboxes.iter().map(|inbox| inbox.url.clone()).collect();
    desk.sandbox.set_webhook(CHANNEL, &urls);
    desk.send(PHONE).await;
    for inbox in &inboxes {
        assert_eq!(words(&inbox.wait_for(3).await), [Sent, Delivered, Read]);
    }
    desk.post(&desk.method("settings"), &json!({ "ackNotificationsOn": false })).await;
    desk.send(PHONE).await;
    let done = desk.sandbox.wait_until(DEADLINE, |c| c.receipts == 6 && c.items_pending == 0).await;
    done.unwrap();
    assert_eq!(inboxes[0].receipts().len(), 3);
}

#[tokio::test]
async fn our_own_message_comes_back_as_evidence_where_the_channel_echoes() {
    let (desk, inbox) = watched(ReceiptOptions { echo: true, ..ReceiptOptions::none() }).await;
    let id = desk.send(PHONE).await;
    inbox.wait_until(|inbox| !inbox.messages().is_empty()).await;
    let echo = &inbox.messages()[0];
    assert_eq!(
        (echo.id.as_str(), echo.is_from_us, echo.phone.as_str()),
        (id.as_str(), true, PHONE)
    );
    assert_eq!(echo.texts[0], desk.sandbox.seen(PHONE)[0].text);
}

#[tokio::test]
async fn a_customers_words_arrive() {
    let (desk, inbox) = watched(ReceiptOptions::none()).await;
    desk.sandbox.inbound(CHANNEL, PHONE, "STOP");
    inbox.wait_until(|inbox| !inbox.messages().is_empty()).await;
    let message = &inbox.messages()[0];
    assert_eq!((message.texts[0].as_str(), message.phone.as_str()), ("STOP", PHONE));
    assert!(!message.is_from_us);
}

#[tokio::test]
async fn hook_info_tells_the_same_when_asked() {
    let desk = Desk::with(at_once());
    let id = desk.send(PHONE).await;
    let failed = desk.send(&Outcome::Undeliverable.phone().unwrap()).await;
    desk.sandbox.wait_until(DEADLINE, |counts| counts.receipts_pending == 0).await.unwrap();

    let told = webhook_payload::receipts(&desk.client.hook_info(&id).await.unwrap(), &id);
    assert_eq!(words(&told), [Sent, Delivered, Read]);
    assert!(told.iter().all(|receipt| receipt.occurred_at.is_some()), "hookInfo knows the time");
    let told = webhook_payload::receipts(&desk.client.hook_info(&failed).await.unwrap(), &failed);
    assert_eq!((words(&told), told[1].error_code), (vec![Sent, Failed], Some(131026)));
    let nothing = desk.client.hook_info("wamid.unknown").await.unwrap();
    assert_eq!(nothing, json!({ "hooks": [] }));
}
