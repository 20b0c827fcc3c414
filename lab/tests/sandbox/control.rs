//! The rest of the API (templates, messages, webhook, status), and the control endpoints by HTTP.

use rowbell::domain::message::attempt::AttemptResult;
use rowbell::domain::message::receipt::ReceiptStatus::{Delivered, Failed, Sent};
use rowbell_lab::sandbox::template::{BODY_EN, NAMESPACE};
use rowbell_lab::sandbox::{Fault, FaultRule, ReceiptOptions};
use serde_json::json;

use super::desk::{CHANNEL, Desk, PHONE, message, refused};
use super::inbox::{Inbox, words};

#[tokio::test]
async fn templates_are_listed_with_what_a_message_needs() {
    let desk = Desk::new();
    let listed = desk.client.templates().await.unwrap();
    assert_eq!(listed["total"], 2);
    let first = &listed["templates"][0];
    let about = [&first["name"], &first["namespace"], &first["language"], &first["status"]];
    assert_eq!(about, ["service_change", NAMESPACE, "en", "approved"]);
    assert_eq!(first["components"][0], json!({ "type": "BODY", "text": BODY_EN }));
}

#[tokio::test]
async fn the_webhook_is_replaced_as_a_whole_and_holds_at_most_five_urls() {
    let desk = Desk::new();
    let webhook = desk.method("webhook");
    assert_eq!(desk.client.webhook_settings().await.unwrap().urls, Vec::<String>::new());

    let one = "https://example.com/hook";
    let (status, said) = desk.post(&webhook, &json!({ "webhookUrl": one })).await;
    assert_eq!((status, said), (200, json!({ "set": true, "message": one })));
    assert_eq!(desk.client.webhook_settings().await.unwrap().urls, [one]);

    let urls: Vec<String> = (1..=6).map(|n| format!("https://example.com/{n}")).collect();
    desk.post(&webhook, &json!({ "webhookUrl": &urls[..5] })).await;
    assert_eq!(
        desk.client.webhook_settings().await.unwrap().urls,
        &urls[..5],
        "the first one is gone"
    );

    for wrong in [json!(urls), json!(""), json!("ftp://example.com"), json!(null)] {
        let (status, _) = desk.post(&webhook, &json!({ "webhookUrl": wrong })).await;
        assert_eq!(status, 400, "{wrong}");
    }
    assert_eq!(
        desk.client.webhook_settings().await.unwrap().urls,
        &urls[..5],
        "a refusal changes nothing"
    );
}

#[tokio::test]
async fn an_unconfirmed_message_can_be_looked_for_by_phone_and_time() {
    let desk = Desk::new();
    desk.send("12025550144").await;
    desk.sandbox.set_faults(vec![FaultRule::next(1, Fault::Drop { accepted: true })]);
    let answer = desk.client.send_template(&message(PHONE)).await;
    assert_eq!(answer.result, AttemptResult::Unknown);

    let seen = &desk.sandbox.seen(PHONE)[0];
    let about = seen.received_at.as_second();
    let list = |since: i64| {
        format!("{}?chatId={PHONE}@c.us&min_time={since}&limit=10", desk.method("messages"))
    };
    let (_, found) = desk.get(&list(about - 60)).await;
    let rows = found["messages"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "one message and one attempt fit: {found}");
    assert_eq!(
        (&rows[0]["id"], &rows[0]["fromMe"], &rows[0]["self"]),
        (&json!(seen.id), &json!(true), &json!(1))
    );
    assert_eq!(rows[0]["time"], about);
    let (_, later) = desk.get(&list(about + 60)).await;
    assert_eq!(later["messages"], json!([]));

    desk.control("channels", json!({ "id": CHANNEL, "history": false })).await;
    let (_, none) = desk.get(&list(about - 60)).await;
    assert_eq!(none["messages"], json!([]));
    assert!(none["notice"].is_string(), "the provider says why: {none}");
}

#[tokio::test]
async fn a_channel_that_is_not_connected_says_so_and_sends_nothing() {
    let desk = Desk::new();
    let (_, said) = desk.get(&desk.method("status")).await;
    assert_eq!(said["status"], "connected");
    desk.control("channels", json!({ "id": CHANNEL, "status": "unregistered" })).await;
    let (_, said) = desk.get(&desk.method("status")).await;
    assert_eq!(said["status"], "unregistered");
    let answer = desk.client.send_template(&message(PHONE)).await;
    assert_eq!(answer.error_code, Some(133010));
}

#[tokio::test]
async fn methods_that_the_provider_does_not_have_are_not_found() {
    let desk = Desk::new();
    assert_eq!(desk.get(&desk.method("sendEverything")).await.0, 404);
    assert_eq!(desk.get(&desk.method("sendTemplate")).await.0, 404, "it is a POST");
    assert_eq!(desk.get(&format!("{}/", desk.sandbox.url())).await.0, 404);
}

#[tokio::test]
async fn what_a_customer_has_seen_can_be_asked_over_http() {
    let desk = Desk::new();
    let id = desk.send(PHONE).await;
    desk.send(PHONE).await;
    desk.send("12025550144").await;
    let url = |path: &str| format!("{}/sandbox/{path}", desk.sandbox.url());

    let (_, seen) = desk.get(&url(&format!("messages?phone={PHONE}"))).await;
    assert_eq!(seen.as_array().unwrap().len(), 2);
    assert_eq!(seen[0]["id"], id.as_str());
    assert_eq!(seen[0]["parameters"][1], "home delivery");
    assert!(seen[0]["text"].as_str().unwrap().starts_with("Hello, Maria!"));
    assert_eq!(desk.get(&url("messages?phone=nobody")).await.0, 400);

    let (_, counts) = desk.get(&url("counts")).await;
    assert_eq!((&counts["accepted"], &counts["refused"]), (&json!(3), &json!(0)));
    let (_, twice) = desk.get(&url("duplicates")).await;
    assert_eq!(twice, json!([{ "phone": PHONE, "times": 2 }]));

    let arrivals = desk.http.get(url("arrivals?from=1")).send().await.unwrap();
    let arrivals = arrivals.bytes().await.unwrap();
    assert_eq!(arrivals.len(), 32, "two messages after the first, 16 bytes each");
    let phone = u64::from_le_bytes(arrivals[24..].try_into().unwrap());
    assert_eq!(phone, 12_025_550_144);
}

#[tokio::test]
async fn faults_are_set_shown_and_cleared_over_http() {
    let desk = Desk::new();
    let faults = format!("{}/sandbox/faults", desk.sandbox.url());
    let rule = json!({ "fault": "too_many_requests", "retry_after": 2, "next": 1 });
    desk.control("faults", json!([rule, { "fault": "refused", "status": 503 }])).await;
    let answer = desk.client.send_template(&message(PHONE)).await;
    assert_eq!(answer.http_status, Some(429));
    let (_, shown) = desk.get(&faults).await;
    assert_eq!((&shown[0]["next"], &shown[1]["fault"]), (&json!(0), &json!("refused")));
    assert_eq!(desk.client.send_template(&message(PHONE)).await.http_status, Some(503));
    desk.http.delete(&faults).send().await.unwrap();
    desk.send(PHONE).await;
    let (status, _) = desk.post(&faults, &json!({ "fault": "earthquake" })).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn receipts_outcomes_and_words_of_customers_are_set_over_http() {
    let desk = Desk::new();
    let inbox = Inbox::open().await;
    desk.post(&desk.method("webhook"), &json!({ "webhookUrl": inbox.url })).await;
    desk.control("receipts", json!({ "sent": 0, "delivered": [1, 2], "read": null })).await;
    desk.control("outcomes", json!({ "phone": "12025550144", "outcome": "opted_out" })).await;
    desk.send(PHONE).await;
    inbox.wait_for(2).await;
    desk.send("12025550144").await;
    let receipts = inbox.wait_for(4).await;
    let failed = receipts.iter().find(|receipt| receipt.status == Failed).unwrap();
    assert_eq!(failed.error_code, Some(131050));

    desk.control("receipt", json!({ "id": "wamid.of.another", "status": "delivered" })).await;
    let receipts = inbox.wait_for(5).await;
    assert_eq!(receipts[4].provider_message_id, "wamid.of.another");
    desk.control("inbound", json!({ "phone": PHONE, "text": "STOP" })).await;
    inbox
        .wait_until(|inbox| inbox.messages().iter().any(|message| message.texts == ["STOP"]))
        .await;
}

#[tokio::test]
async fn a_receipt_on_demand_enters_the_history_of_its_message() {
    let desk = Desk::with(ReceiptOptions::none());
    let inbox = Inbox::open().await;
    desk.sandbox.set_webhook(CHANNEL, std::slice::from_ref(&inbox.url));
    let id = desk.send(PHONE).await;
    desk.sandbox.post_receipt(CHANNEL, &id, "sent", None);
    inbox.wait_for(1).await;
    desk.sandbox.post_receipt(CHANNEL, &id, "delivered", None);
    assert_eq!(words(&inbox.wait_for(2).await), [Sent, Delivered]);
    let seen = &desk.sandbox.seen(PHONE)[0];
    let statuses: Vec<&str> = seen.statuses.iter().map(|status| status.status).collect();
    assert_eq!(statuses, ["sent", "delivered"]);
}

#[tokio::test]
async fn templates_channels_and_the_form_of_refusals_are_set_over_http() {
    let desk = Desk::new();
    desk.control("templates", json!({ "name": "service_change", "status": "paused" })).await;
    desk.control("refusals", json!({ "form": "in_band" })).await;
    let answer = desk.client.send_template(&message(PHONE)).await;
    assert_eq!((answer.http_status, answer.error_code), (Some(200), Some(132015)));
    refused(&answer);

    desk.control("channels", json!({ "id": "VID7", "token": "another" })).await;
    let url = format!("{}/VID7/status", desk.sandbox.url());
    assert_eq!(desk.get(&url).await.0, 401, "each channel has its own token");
    assert_eq!(desk.get(&format!("{url}?token=another")).await.0, 200);
}
