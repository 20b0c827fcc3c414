//! What the provider answers, and what becomes of the message.

use std::time::Duration;

use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::{MARIA, World};

const MOVE: &str = "update delivery set address = 'moved' where id = 1";

/// A world in which Maria's message has met this fault once.
async fn after(rule: FaultRule) -> World {
    let mut world = World::new().await;
    world.sandbox.set_faults(vec![rule]);
    world.sql(MOVE).await;
    world.settle().await;
    world
}

/// Retries until nothing more happens for an hour.
async fn hours_later(world: &mut World) {
    for _ in 0..60 {
        world.pass(Duration::from_secs(60));
        world.work().await;
    }
}

#[tokio::test]
async fn passing_faults_are_retried_until_the_message_arrives() {
    let faults = [
        Fault::TooManyRequests { retry_after: Some(3) },
        Fault::Refused { status: 503 },
        Fault::Code { code: 131000 },
        Fault::Code { code: 130429 },
    ];
    for fault in faults {
        let mut world = after(FaultRule::next(2, fault.clone())).await;
        assert_eq!(world.sandbox.count(), 0, "{fault:?}");
        assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"], "{fault:?}");
        hours_later(&mut world).await;
        assert_eq!(world.read(MARIA).len(), 1, "{fault:?}");
        assert_eq!(world.messages().await, ["1 sent 1 change(s) 3 attempt(s)"], "{fault:?}");
        assert_eq!(
            world
                .value("select string_agg(result::text, ' ' order by number) from rowbell.attempt")
                .await,
            "refused refused accepted",
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn attempts_end() {
    let mut world = after(FaultRule::always(Fault::Refused { status: 500 })).await;
    for _ in 0..40 {
        hours_later(&mut world).await;
    }
    assert_eq!(world.messages().await, ["1 failed exhausted 1 change(s) 20 attempt(s)"]);
}

#[tokio::test]
async fn a_refused_content_is_not_tried_again() {
    let mut world = after(FaultRule::always(Fault::Code { code: 132012 })).await;
    hours_later(&mut world).await;
    assert_eq!(world.messages().await, ["1 failed rejected 1 change(s) 1 attempt(s)"]);
    let attempt = "select result || ' ' || error_class || ' ' || error_code from rowbell.attempt";
    assert_eq!(world.value(attempt).await, "refused content 132012");
}

#[tokio::test]
async fn an_undeliverable_recipient_is_not_tried_again() {
    let mut world = after(FaultRule::always(Fault::Code { code: 131026 })).await;
    hours_later(&mut world).await;
    assert_eq!(world.messages().await, ["1 failed undeliverable 1 change(s) 1 attempt(s)"]);
}

#[tokio::test]
async fn a_lost_answer_is_unconfirmed_and_not_sent_again() {
    let faults = [
        Fault::Drop { accepted: true },
        Fault::Hang { accepted: true },
        Fault::Lost { status: 502 },
        Fault::Lost { status: 500 },
        Fault::Lost { status: 520 },
        Fault::Lost { status: 524 },
        Fault::Garbage { accepted: true },
        Fault::HalfBody { accepted: true },
    ];
    for fault in faults {
        let mut world = after(FaultRule::always(fault.clone())).await;
        hours_later(&mut world).await;
        assert_eq!(world.messages().await, ["1 unconfirmed 1 change(s) 1 attempt(s)"], "{fault:?}");
        assert_eq!(world.read(MARIA).len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn the_watch_decides_what_becomes_of_the_unconfirmed() {
    let policies = [
        ("resend", "1 sent 1 change(s) 2 attempt(s)", 1),
        ("give_up", "1 failed exhausted 1 change(s) 1 attempt(s)", 0),
    ];
    for (policy, expected, seen) in policies {
        let mut world = World::with(&format!("unconfirmed = \"{policy}\"")).await;
        world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Drop { accepted: false })]);
        world.sql(MOVE).await;
        world.settle().await;
        assert_eq!(world.messages().await, ["1 unconfirmed 1 change(s) 1 attempt(s)"], "{policy}");
        hours_later(&mut world).await;
        assert_eq!(world.messages().await, [expected], "{policy}");
        assert_eq!(world.read(MARIA).len(), seen, "{policy}");
    }
}

#[tokio::test]
async fn a_wrong_token_stops_the_channel_and_loses_nothing() {
    let mut world = World::new().await;
    world.sandbox.set_token("ODI371267300", "another");
    world.sql(MOVE).await;
    world.settle().await;
    assert_eq!(world.sandbox.count(), 0);
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
    world.sandbox.set_token("ODI371267300", "sandbox-token");
    hours_later(&mut world).await;
    assert_eq!(world.read(MARIA).len(), 1);
}

/// chatwoot and others search the words of an error for "payment"; here a template is called so.
#[tokio::test]
async fn the_name_of_a_template_in_the_words_of_an_error_stops_nothing_else() {
    let said = "template name payment_reminder does not exist in es";
    let mut world = after(FaultRule::always(Fault::InBand { message: said.into() })).await;
    let stopped =
        "select concat_ws(' ', channel, template, language, error_code) from rowbell.circuit";
    assert_eq!(world.value(stopped).await, "main service_change en 132001");
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
    world.sandbox.set_faults(vec![]);
    hours_later(&mut world).await;
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 2 attempt(s)"]);
}

/// Others put the HTTP status, or a code of their own, where WhatsApp has its code.
#[tokio::test]
async fn a_number_is_a_code_only_where_a_code_is_meant() {
    for body in [
        r#"{"code":200,"message":"phone is missing"}"#,
        r#"{"sent":false,"code":0,"message":"template service_change is wrong"}"#,
        r#"{"message":"Bad parameter","details":{"code":3}}"#,
        r#"{"message":"payment_reminder: rate limit of order 131031"}"#,
    ] {
        let answer = Fault::Answer { status: 400, body: body.into() };
        let mut world = after(FaultRule::always(answer)).await;
        hours_later(&mut world).await;
        assert_eq!(
            world.messages().await,
            ["1 failed rejected 1 change(s) 1 attempt(s)"],
            "{body}"
        );
        assert_eq!(world.value("select count(*) from rowbell.circuit").await, "0", "{body}");
    }
}

#[tokio::test]
async fn a_number_that_is_not_ours_stops_the_channel_at_the_first_refusal() {
    let body = r#"{"error":{"message":"Unsupported post request. Object with ID '1' does not exist","code":100,"error_subcode":33}}"#;
    let answer = Fault::Answer { status: 400, body: body.into() };
    let world = after(FaultRule::always(answer)).await;
    let stopped = "select channel || ' ' || state from rowbell.circuit";
    assert_eq!(world.value(stopped).await, "main open");
    assert_eq!(world.messages().await, ["1 scheduled 1 change(s) 1 attempt(s)"]);
}

#[tokio::test]
async fn a_newer_change_takes_the_place_of_a_message_that_waits_for_its_retry() {
    let busy = Fault::TooManyRequests { retry_after: Some(600) };
    let mut world = after(FaultRule::next(1, busy)).await;
    world.sql("update delivery set address = 'newer' where id = 1").await;
    world.work().await;
    hours_later(&mut world).await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1);
    assert!(read[0].contains("1 Main Street → newer"), "{read:?}");
}

#[tokio::test]
async fn the_token_and_phones_stay_out_of_what_is_stored_about_errors() {
    let mut world = after(FaultRule::always(Fault::Code { code: 131009 })).await;
    hours_later(&mut world).await;
    let stored = world
        .value("select string_agg(concat_ws(' ', error_text, response), ' ') from rowbell.attempt")
        .await;
    assert!(!stored.contains("sandbox-token"), "{stored}");
    assert!(!stored.contains(MARIA), "{stored}");
}

#[tokio::test]
async fn a_message_in_doubt_that_is_to_be_resent_gives_way_to_the_next_which_tells_everything() {
    let mut world = World::with("unconfirmed = \"resend\"").await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Drop { accepted: false })]);
    world.sql(MOVE).await;
    world.settle().await;
    world.sql("update delivery set status = 'packed' where id = 1").await;
    world.settle().await;
    // While evidence is sought, nothing else is sent to that phone.
    assert_eq!(world.read(MARIA).len(), 0);
    hours_later(&mut world).await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1);
    assert!(read[0].contains("1 Main Street → moved"), "{read:?}");
    assert!(read[0].contains("planned → packed"), "{read:?}");
    assert_eq!(
        world.messages().await,
        ["1 skipped superseded 1 change(s) 1 attempt(s)", "1 sent 1 change(s) 1 attempt(s)"]
    );
}

#[tokio::test]
async fn a_message_in_doubt_that_is_held_counts_as_told() {
    let mut world = World::new().await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Drop { accepted: true })]);
    world.sql(MOVE).await;
    world.settle().await;
    world.sql("update delivery set status = 'packed' where id = 1").await;
    world.settle().await;
    hours_later(&mut world).await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2);
    assert!(!read[1].contains("moved"), "{read:?}");
}

#[tokio::test]
async fn a_row_that_goes_back_while_a_message_is_in_doubt_is_told_to_whoever_may_have_read_it() {
    for policy in ["resend", "give_up", "hold"] {
        let mut world = World::with(&format!("unconfirmed = \"{policy}\"")).await;
        world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Drop { accepted: true })]);
        world.sql("update delivery set address = 'moved' where id = 1").await;
        world.settle().await;
        assert_eq!(world.read(MARIA).len(), 1, "{policy}: it arrived, and nobody knows");
        world.sql("update delivery set address = '1 Main Street' where id = 1").await;
        world.settle().await;
        hours_later(&mut world).await;
        let read = world.read(MARIA);
        assert_eq!(read.len(), 2, "{policy}: {read:?}");
        assert!(read[1].contains("moved → 1 Main Street"), "{policy}: {read:?}");
    }
}

#[tokio::test]
async fn a_row_that_goes_back_after_a_message_was_given_up_in_doubt_is_told() {
    for policy in ["resend", "give_up"] {
        let mut world = World::with(&format!("unconfirmed = \"{policy}\"")).await;
        let refused = FaultRule::always(Fault::Code { code: 131_026 });
        let dropped = FaultRule::next(1, Fault::Drop { accepted: true });
        world.sandbox.set_faults(vec![dropped, refused]);
        world.sql("update delivery set address = 'moved' where id = 1").await;
        world.settle().await;
        hours_later(&mut world).await;
        let ended = world.value("select state from rowbell.message").await;
        assert_eq!(
            ended, "failed",
            "{policy}: the first attempt is in doubt, the second was refused"
        );
        world.sandbox.set_faults(Vec::new());
        world.sql("update delivery set address = '1 Main Street' where id = 1").await;
        world.settle().await;
        let read = world.read(MARIA);
        assert_eq!(read.len(), 2, "{policy}: {read:?}");
        assert!(read[1].contains("moved → 1 Main Street"), "{policy}: {read:?}");
        // From then on it is known what was told.
        world.sql("update delivery set address = 'x' where id = 1; update delivery set address = '1 Main Street' where id = 1").await;
        world.settle().await;
        assert_eq!(world.read(MARIA).len(), 2, "{policy}");
    }
}

#[tokio::test]
async fn of_two_messages_in_doubt_either_may_have_been_the_last_that_was_read() {
    let mut world = World::with("unconfirmed = \"resend\"").await;
    let arrived = FaultRule::next(1, Fault::Drop { accepted: true });
    let lost = FaultRule::next(1, Fault::Drop { accepted: false });
    world.sandbox.set_faults(vec![arrived, lost]);
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    world.sql("update delivery set address = '1 Main Street' where id = 1").await;
    world.settle().await;
    hours_later(&mut world).await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2, "{read:?}");
    assert!(read[1].contains("moved → 1 Main Street"), "{read:?}");
}

#[tokio::test]
async fn what_was_muted_while_a_message_was_in_doubt_is_told_to_nobody() {
    let mut world = World::with("unconfirmed = \"resend\"").await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Drop { accepted: true })]);
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.settle().await;
    world.muted("tidy", "update delivery set address = 'tidied' where id = 1").await;
    world.settle().await;
    hours_later(&mut world).await;
    assert_eq!(world.read(MARIA).len(), 1);
}
