//! What customers answer is kept with the message that it quotes, and told to the application. Nothing is answered to it.

use std::time::Duration;

use rowbell::pipeline::context::stage::Stage as _;
use serde_json::{Value, json};

use crate::harness::{JUAN, MARIA, World};
use crate::hooks::receiver::{Receiver, posting_shop};

/// A shop whose table and endpoint are told of answers.
async fn shop(receiver: &Receiver, include: &str) -> World {
    let answers = "create table answer (delivery_id bigint, kind text, body text, payload text);";
    let hook = "\n[[watch.home_delivery.outcome]]\nstates = [\"replied\"]\n\
                sql = \"insert into answer values ($key, $reply_kind, $reply, $reply_payload)\"\n";
    let settings = format!("states = [\"replied\"]\n{include}");
    let mut world = posting_shop(receiver, answers, &settings, hook).await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.work().await;
    world
}

/// What Meta passes on when Maria answers.
fn answer(id: &str, context: &str, what: Value) -> Value {
    let mut message = json!({
        "from": MARIA, "id": id, "timestamp": "1760000000", "context": { "id": context, "from": "19075550100" },
    });
    message.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    json!({ "instanceId": "ODI371267300",
            "entry": [{ "changes": [{ "field": "messages", "value": { "messages": [message] } }] }] })
}

async fn sent_id(world: &World) -> String {
    world
        .value("select provider_message_id from rowbell.message order by message_id desc limit 1")
        .await
}

async fn kept(world: &World) -> String {
    let kept = "select string_agg(concat_ws(' | ', message_id, kind, body, payload), ', ' order by reply_id) from rowbell_report.replies";
    world.value(kept).await
}

/// Words, buttons and reactions, in 1MSG's form and Meta's: each stands once with the message that it quotes, and the
/// application hears of it in its database and at its endpoint, which is told the words only where the site asks for them.
#[tokio::test]
async fn an_answer_is_kept_with_its_message_and_told_to_the_application() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    let id = sent_id(&world).await;
    let words =
        answer("r1", &id, json!({ "type": "text", "text": { "body": "Can you come later?" } }));
    let button = json!({ "type": "button", "button": { "text": "Fine", "payload": "CONFIRM" } });
    let button = answer("r2", &id, button);
    let reaction = json!({ "type": "reaction", "reaction": { "message_id": id, "emoji": "👍" } });
    let picture = json!({ "messages": [{
        "id": "r4", "body": "https://somewhere/picture.jpg", "fromMe": false, "author": format!("{MARIA}@c.us"),
        "chatId": format!("{MARIA}@c.us"), "time": 1_760_000_009, "type": "image", "quotedMsgId": id,
    }] });
    for body in [&words, &button, &answer("r3", &id, reaction), &picture, &words] {
        world.posted(body).await;
    }
    world.work().await;
    assert_eq!(
        kept(&world).await,
        "1 | text | Can you come later?, 1 | button | Fine | CONFIRM, 1 | reaction | 👍, 1 | other"
    );
    let told = "select string_agg(concat_ws(' ', delivery_id, kind, body, payload), ', ' order by kind) from answer";
    assert_eq!(
        world.value(told).await,
        "1 button Fine CONFIRM, 1 other, 1 reaction 👍, 1 text Can you come later?"
    );
    let received = receiver.all();
    assert_eq!(received.len(), 4);
    assert_eq!(received[1].event["type"], "message.replied");
    assert_eq!(received[1].event["data"]["reply_kind"], "button");
    assert!(
        received.iter().all(|one| !one.body.contains("later") && !one.body.contains("CONFIRM"))
    );
    assert_eq!(world.read(MARIA).len(), 1, "nothing is answered");
}

#[tokio::test]
async fn an_endpoint_is_told_the_words_of_an_answer_where_the_site_asks_for_them() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "include = [\"reply_text\"]").await;
    let button = json!({ "type": "interactive", "interactive": { "button_reply": { "id": "YES", "title": "Yes" } } });
    let id = sent_id(&world).await;
    world.posted(&answer("r1", &id, button)).await;
    world.work().await;
    let data = receiver.all()[0].event["data"].clone();
    assert_eq!((&data["reply_text"], &data["reply_payload"]), (&"Yes".into(), &"YES".into()));
}

/// Opt-out words count as they did, also as an answer; what quotes nothing, or a message of somebody else on the same number, is
/// not kept.
#[tokio::test]
async fn what_is_no_answer_of_ours_is_not_kept_and_stop_is_stop() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    let id = sent_id(&world).await;
    world.posted(&answer("r1", &id, json!({ "type": "text", "text": { "body": "STOP" } }))).await;
    assert_eq!(world.value("select string_agg(phone, ',') from rowbell.opt_out").await, MARIA);
    assert_eq!(kept(&world).await, "1 | text | STOP");
    let plain = json!({ "instanceId": "ODI371267300", "messages": [{ "from": MARIA, "id": "r2", "text": { "body": "Hello?" } }] });
    world.posted(&plain).await;
    world
        .posted(&answer("r3", "of-somebody-else", json!({ "text": { "body": "a secret" } })))
        .await;
    assert_eq!(world.value("select count(*) from rowbell.reply").await, "2");
    world.pass(Duration::from_secs(2 * 3_600));
    for _ in 0..3 {
        world.stages.retention.step().await.unwrap();
    }
    assert_eq!(world.value("select string_agg(body, ',') from rowbell.reply").await, "STOP");
}

/// The answer to a message whose request got no answer waits until the message knows its id.
#[tokio::test]
async fn an_answer_may_come_before_its_message_knows_its_id() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    world.posted(&answer("r1", "wamid.late", json!({ "text": { "body": "Thanks" } }))).await;
    assert_eq!(kept(&world).await, "null");
    world
        .sql(
            "update rowbell.attempt set provider_message_id = 'wamid.late'; \
               update rowbell.message set provider_message_id = 'wamid.late'",
        )
        .await;
    world.work().await;
    assert_eq!(kept(&world).await, "1 | text | Thanks");
    assert_eq!(world.value("select body from answer").await, "Thanks");
    assert_eq!(receiver.all().len(), 1);
}

/// `forget` and retention remove the words; that somebody answered stays.
#[tokio::test]
async fn what_was_answered_is_forgotten_with_the_person() {
    let receiver = Receiver::start().await;
    let mut world = shop(&receiver, "").await;
    let id = sent_id(&world).await;
    world.posted(&answer("r1", &id, json!({ "text": { "body": "I am ill" } }))).await;
    let mut client = world.stages.context.pool.get().await.unwrap();
    for (phone, left) in [(JUAN, "I am ill"), (MARIA, "null")] {
        let found =
            rowbell::operations::forget::find(&mut client, &world.config, phone).await.unwrap();
        rowbell::operations::forget::forget(&mut client, &world.clock, phone, &found)
            .await
            .unwrap();
        assert_eq!(world.value("select body from rowbell.reply").await, left);
    }
    drop(client);
    assert_eq!(
        world.value("select count(*) from rowbell_report.replies where kind = 'text'").await,
        "1"
    );
    // One that comes later, to a message that was redacted already, goes with its own age.
    world.posted(&answer("r2", &id, json!({ "text": { "body": "Still ill" } }))).await;
    world.pass(Duration::from_secs(100 * 86_400));
    for _ in 0..3 {
        world.stages.retention.step().await.unwrap();
    }
    assert_eq!(
        world
            .value("select count(*) from rowbell.reply where body is not null or phone is not null")
            .await,
        "0"
    );
    world.work().await;
}
