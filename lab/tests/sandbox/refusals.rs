//! What the provider refuses, in which words, and what a sender does about it.

use rowbell::domain::message::attempt::AttemptResult;
use rowbell::domain::message::attempt::ErrorClass::{
    Channel, Content, Recipient, Retry, Slow, Template,
};
use rowbell::domain::message::outgoing::TemplateMessage;
use rowbell_lab::sandbox::{Outcome, RefusalForm, TemplateOptions};
use serde_json::{Value, json};

use super::desk::{CHANNEL, DEADLINE, Desk, PHONE, accepted, body, client, message, refused};

#[tokio::test]
async fn a_right_message_is_accepted_with_an_id_and_the_customer_sees_it() {
    let desk = Desk::new();
    let answer = desk.client.send_template(&message(PHONE)).await;
    let id = accepted(&answer);
    assert!(id.starts_with("wamid."), "{id}");
    assert_eq!(answer.http_status, Some(200));
    let seen = desk.sandbox.seen(PHONE);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].id, id);
    assert_eq!(
        seen[0].text,
        "Hello, Maria! The status of your home delivery has been updated. New window: June 25 \
         from 10:00 AM to 12:00 PM. If you need help — we are here."
    );
}

#[tokio::test]
async fn faults_in_a_message_are_refused_with_422_and_metas_code() {
    let with = |change: fn(&mut TemplateMessage)| {
        let mut message = message(PHONE);
        change(&mut message);
        message
    };
    let cases = [
        (with(|m| m.template = "service_chang".into()), 132001, Template),
        (with(|m| m.language = "en_US".into()), 132001, Template),
        (with(|m| m.namespace = "another".into()), 132001, Template),
        (with(|m| drop(m.parameters.pop())), 132000, Template),
        (with(|m| m.parameters.push("more".into())), 132000, Template),
        (with(|m| m.phone = "+12025550143".into()), 131009, Content),
        (with(|m| m.phone = "1202555".into()), 131009, Content),
        (with(|m| m.phone = "0049301234567".into()), 131009, Content),
        (with(|m| m.parameters[0] = " ".into()), 131008, Content),
        (with(|m| m.parameters[2] = "one\ntwo".into()), 132018, Content),
        (with(|m| m.parameters[2] = "one\ttwo".into()), 132018, Content),
        (with(|m| m.parameters[2] = "one     two".into()), 132018, Content),
        (with(|m| m.parameters[2] = "x".repeat(1_000)), 132005, Content),
    ];
    let desk = Desk::new();
    for (wrong, code, class) in cases {
        let answer = desk.client.send_template(&wrong).await;
        assert_eq!(refused(&answer), class, "{wrong:?}");
        assert_eq!(answer.error_code, Some(code), "{wrong:?}");
        assert_eq!(answer.http_status, Some(422), "{wrong:?}");
    }
    assert_eq!(desk.sandbox.count(), 0, "nobody was written to");
}

#[tokio::test]
async fn requests_that_our_client_never_makes_are_refused_too() {
    let without = |key: &str| {
        let mut body = body();
        body.as_object_mut().unwrap().remove(key);
        body
    };
    let with = |key: &str, value: Value| {
        let mut body = body();
        body[key] = value;
        body
    };
    let cases = [
        (without("namespace"), 422, Some(131008)),
        (without("phone"), 422, Some(131008)),
        (without("template"), 400, None),
        (without("language"), 400, None),
        (without("params"), 422, Some(132000)),
        (with("params", json!(["Maria", "home delivery", "later"])), 422, Some(100)),
        (with("language", json!({ "policy": "fallback", "code": "en" })), 422, Some(100)),
        (with("messageSendTtlSeconds", json!(5)), 422, Some(100)),
        (with("chatId", json!("12025550143@c.us")), 422, Some(131008)),
    ];
    let desk = Desk::new();
    for (wrong, status, code) in cases {
        let (answered, said) = desk.post(&desk.method("sendTemplate"), &wrong).await;
        assert_eq!(answered, status, "{wrong}: {said}");
        assert_eq!(said["error"]["code"].as_i64(), code, "{wrong}: {said}");
    }
    let raw = desk.http.post(desk.method("sendTemplate")).bearer_auth("sandbox-token").body("{");
    assert_eq!(raw.send().await.unwrap().status(), 400);
    assert_eq!(desk.sandbox.count(), 0);
}

#[tokio::test]
async fn a_bad_token_stops_the_channel_and_is_not_repeated_in_what_is_kept() {
    let desk = Desk::new();
    let answer = client(&desk.sandbox.url(), "stale-token-77", DEADLINE)
        .send_template(&message(PHONE))
        .await;
    assert_eq!(refused(&answer), Channel);
    assert_eq!(answer.http_status, Some(401));
    let (_, said) = desk.get(&format!("{}?token=stale-token-77", desk.method("status"))).await;
    assert!(said["error"].as_str().unwrap().contains("stale-token-77"), "the provider repeats it");
    assert!(!format!("{answer:?}").contains("stale-token-77"), "we do not: {answer:?}");
}

#[tokio::test]
async fn an_unknown_channel_a_blocked_one_and_a_broken_number_stop_the_channel() {
    let desk = Desk::new();
    let elsewhere = format!("{}/elsewhere", desk.sandbox.url());
    let answer = client(&elsewhere, "any", DEADLINE).send_template(&message(PHONE)).await;
    assert_eq!((answer.http_status, refused(&answer)), (Some(404), Channel));

    desk.control("channels", json!({ "id": CHANNEL, "blocked": true })).await;
    let answer = desk.client.send_template(&message(PHONE)).await;
    assert_eq!((answer.http_status, refused(&answer)), (Some(403), Channel));

    desk.control("channels", json!({ "id": CHANNEL, "blocked": false, "refuse_code": 131042 }))
        .await;
    let answer = desk.client.send_template(&message(PHONE)).await;
    assert_eq!((answer.error_code, refused(&answer)), (Some(131042), Channel));
}

#[tokio::test]
async fn a_paused_template_stops_the_template() {
    let desk = Desk::new();
    for (status, code) in [("paused", 132015), ("disabled", 132016), ("pending", 132001)] {
        let template = TemplateOptions { status: status.into(), ..TemplateOptions::default() };
        desk.sandbox.set_template(CHANNEL, template);
        let answer = desk.client.send_template(&message(PHONE)).await;
        assert_eq!((answer.error_code, refused(&answer)), (Some(code), Template), "{status}");
    }
}

#[tokio::test]
async fn limits_slow_the_sender_down() {
    let desk = Desk::new();
    desk.control("channels", json!({ "id": CHANNEL, "limits": { "pair_burst": 2 } })).await;
    for _ in 0..2 {
        desk.send(PHONE).await;
    }
    let answer = desk.client.send_template(&message(PHONE)).await;
    assert_eq!((answer.error_code, refused(&answer)), (Some(131056), Slow));
    desk.send("12025550144").await;

    desk.control("channels", json!({ "id": CHANNEL, "limits": { "recipients_per_day": 1 } })).await;
    desk.send(PHONE).await;
    let answer = desk.client.send_template(&message("12025550145")).await;
    assert_eq!((answer.error_code, refused(&answer)), (Some(131048), Channel));
}

#[tokio::test]
async fn the_same_refusal_is_understood_in_every_form_it_was_seen_in() {
    let desk = Desk::new();
    for form in [RefusalForm::Meta, RefusalForm::Plain, RefusalForm::InBand] {
        desk.sandbox.set_refusals(form);
        let wrong = TemplateMessage { parameters: vec!["Maria".into()], ..message(PHONE) };
        let answer = desk.client.send_template(&wrong).await;
        assert_eq!(refused(&answer), Template, "{form:?}");
        assert_eq!(answer.error_code, Some(132000), "{form:?}");
    }
}

#[tokio::test]
async fn phones_that_are_refused_at_once_have_numbers_of_their_own() {
    let desk = Desk::new();
    let phone = |outcome: Outcome| outcome.phone().unwrap();
    let answer = desk.client.send_template(&message(&phone(Outcome::NotOnWhatsapp))).await;
    assert_eq!((answer.http_status, refused(&answer)), (Some(200), Recipient));
    let answer = desk.client.send_template(&message(&phone(Outcome::PairLimited))).await;
    assert_eq!(refused(&answer), Slow);
    // A job id is no message id: whether it was sent is not known.
    let answer = desk.client.send_template(&message(&phone(Outcome::Queued))).await;
    assert_eq!(answer.result, AttemptResult::Unknown);
}

#[tokio::test]
async fn every_code_that_meta_documents_comes_through_with_its_class() {
    let desk = Desk::new();
    for (code, class) in [
        (190, Channel),
        (131016, Retry),
        (131026, Recipient),
        (131056, Slow),
        (132015, Template),
        (131009, Content),
    ] {
        desk.control("faults", json!({ "fault": "code", "code": code, "next": 1 })).await;
        let answer = desk.client.send_template(&message(PHONE)).await;
        assert_eq!((answer.error_code, refused(&answer)), (Some(code), class));
    }
    assert_eq!(desk.sandbox.count(), 0);
}
