//! Each fault, and what our client makes of it. The question is always the same: may the customer
//! have the message, or certainly not?

use std::time::Duration;

use rowbell::domain::message::attempt::AttemptResult::{self, Unknown, Unreached};
use rowbell::domain::message::attempt::ErrorClass::{Content, Recipient, Retry, Slow};
use rowbell::domain::message::receipt::ReceiptStatus;
use rowbell_lab::sandbox::{Fault, FaultRule};

use super::desk::{CHANNEL, DEADLINE, Desk, PHONE, accepted, client, message, refused};
use super::inbox::{Inbox, words};

/// A time that never comes in a test.
const FOR_EVER: u64 = 3_600_000;

/// Strikes one send with a fault, by a client that waits long or not.
async fn struck(
    desk: &Desk,
    fault: Fault,
    is_patient: bool,
) -> rowbell::domain::message::attempt::Answer {
    desk.sandbox.set_faults(vec![FaultRule::next(1, fault)]);
    let client = if is_patient { desk.client.clone() } else { desk.impatient() };
    client.send_template(&message(PHONE)).await
}

#[tokio::test]
async fn a_slow_answer_is_an_answer_until_the_timeout_and_then_nobody_knows() {
    let desk = Desk::new();
    accepted(&struck(&desk, Fault::Latency { ms: 20, jitter_ms: 20 }, true).await);
    let answer = struck(&desk, Fault::Latency { ms: FOR_EVER, jitter_ms: 0 }, false).await;
    assert_eq!(answer.result, Unknown);
    desk.sandbox.wait_for(2, DEADLINE).await.expect("the customer has both");
}

#[tokio::test]
async fn too_many_requests_slow_down_for_as_long_as_the_provider_says() {
    let desk = Desk::new();
    for (wanted, expected) in [(Some(7), Some(Duration::from_secs(7))), (None, None)] {
        let answer = struck(&desk, Fault::TooManyRequests { retry_after: wanted }, true).await;
        let slow = AttemptResult::Refused { class: Slow, retry_after: expected };
        assert_eq!(answer.result, slow);
        assert_eq!(answer.http_status, Some(429));
    }
    assert_eq!(desk.sandbox.count(), 0);
}

#[tokio::test]
async fn a_clean_server_error_is_tried_again_and_a_gateways_is_not() {
    let desk = Desk::new();
    for status in [500, 503] {
        let answer = struck(&desk, Fault::Refused { status }, true).await;
        assert_eq!((answer.http_status, refused(&answer)), (Some(status), Retry));
    }
    assert_eq!(desk.sandbox.count(), 0, "a refusal was one");
    for status in [502, 504] {
        let answer = struck(&desk, Fault::Lost { status }, true).await;
        assert_eq!((answer.http_status, answer.result), (Some(status), Unknown));
    }
    assert_eq!(desk.sandbox.count(), 2, "behind a gateway it was taken");
}

#[tokio::test]
async fn no_answer_leaves_it_unknown_whether_it_was_taken_or_not() {
    let desk = Desk::new();
    for (faults, is_accepted) in [(1, true), (2, false)] {
        let answer = struck(&desk, Fault::Hang { accepted: is_accepted }, false).await;
        assert_eq!(answer.result, Unknown);
        desk.sandbox.wait_until(DEADLINE, |counts| counts.faults == faults).await.unwrap();
        assert_eq!(desk.sandbox.count(), 1);
    }
}

#[tokio::test]
async fn a_dropped_connection_leaves_it_unknown_and_is_not_tried_again_by_itself() {
    let desk = Desk::new();
    // The first makes a connection that the second uses again: that is where HTTP clients like to
    // repeat a request behind one's back.
    desk.send(PHONE).await;
    let answer = struck(&desk, Fault::Drop { accepted: true }, true).await;
    assert_eq!(answer.result, Unknown);
    assert_eq!(desk.sandbox.count(), 2, "one request, one message");
    assert_eq!(struck(&desk, Fault::Drop { accepted: false }, true).await.result, Unknown);
    assert_eq!(desk.sandbox.count(), 2);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_it_unknown() {
    let desk = Desk::new();
    for fault in
        [Fault::Garbage { accepted: true }, Fault::HalfBody { accepted: true }, Fault::Queued]
    {
        let answer = struck(&desk, fault.clone(), true).await;
        assert_eq!((answer.http_status, answer.result), (Some(200), Unknown), "{fault:?}");
    }
    assert_eq!(desk.sandbox.count(), 3, "the customer has all of them");
}

#[tokio::test]
async fn slow_bytes_are_read_to_their_end_unless_it_takes_too_long() {
    let desk = Desk::new();
    accepted(&struck(&desk, Fault::SlowBytes { ms: 1 }, true).await);
    let answer = struck(&desk, Fault::SlowBytes { ms: FOR_EVER }, false).await;
    assert_eq!((answer.http_status, answer.result), (Some(200), Unknown));
    assert_eq!(desk.sandbox.count(), 2);
}

#[tokio::test]
async fn a_refusal_that_comes_as_success_is_a_refusal() {
    let desk = Desk::new();
    for (words, class) in [
        ("Recipient is not a valid WhatsApp user", Recipient),
        ("body: Param text: cannot have new-line/tab characters", Content),
        ("something else", Content),
    ] {
        let answer = struck(&desk, Fault::InBand { message: words.into() }, true).await;
        assert_eq!((answer.http_status, refused(&answer)), (Some(200), class), "{words}");
        assert_eq!(answer.error_text.as_deref(), Some(words));
    }
    assert_eq!(desk.sandbox.count(), 0);
}

#[tokio::test]
async fn a_receipt_may_come_before_the_answer() {
    let desk = Desk::new();
    let inbox = Inbox::open().await;
    desk.sandbox.set_webhook(CHANNEL, std::slice::from_ref(&inbox.url));
    let answer = struck(&desk, Fault::EarlyReceipt, true).await;
    // No waiting here: it was there before the answer.
    let receipts = inbox.receipts();
    assert_eq!(words(&receipts), [ReceiptStatus::Sent]);
    assert_eq!(receipts[0].provider_message_id, accepted(&answer));
}

#[tokio::test]
async fn what_never_reached_the_provider_certainly_was_not_sent() {
    let desk = Desk::new();
    let url = desk.sandbox.url();
    let client = client(&url, "any", DEADLINE);
    desk.sandbox.shutdown().await;
    let answer = client.send_template(&message(PHONE)).await;
    assert_eq!((answer.http_status, answer.result), (None, Unreached));
}

#[tokio::test]
async fn faults_strike_whom_and_as_often_as_they_are_told() {
    let desk = Desk::new();
    let down = Fault::Refused { status: 500 };
    desk.sandbox.set_faults(vec![FaultRule::always(down.clone()).for_phone("12025550199")]);
    desk.send(PHONE).await;
    assert_eq!(refused(&desk.client.send_template(&message("12025550199")).await), Retry);

    desk.sandbox.set_faults(vec![FaultRule::next(2, down.clone())]);
    for _ in 0..2 {
        assert_eq!(refused(&desk.client.send_template(&message(PHONE)).await), Retry);
    }
    desk.send(PHONE).await;

    desk.sandbox.set_faults(vec![FaultRule::always(down).on("hookInfo")]);
    let id = desk.send(PHONE).await;
    assert!(desk.client.hook_info(&id).await.is_err());
    assert!(desk.client.templates().await.is_ok());
}
