//! What customers write to us about further messages.

use serde_json::{Value, json};

use crate::harness::{CONFIG, MARIA, SECOND, SHOP, World};

const MOVE: &str = "update delivery set address = address || '!' where id = 1";

/// Maria writes something, so many seconds after noon.
fn wrote(text: &str, second: i64) -> Value {
    let time = 1_760_000_000 + second;
    json!({ "instanceId": "ODI371267300", "messages": [{
        "id": format!("wamid.in{second}"), "body": text, "fromMe": false, "self": 0,
        "author": format!("{MARIA}@c.us"), "chatId": format!("{MARIA}@c.us"), "time": time, "type": "chat",
    }] })
}

async fn told(world: &mut World) -> usize {
    world.sql(MOVE).await;
    world.settle().await;
    world.read(MARIA).len()
}

/// 100eyes #2148, VA notify #1319: who wrote STOP must not be written to again.
#[tokio::test]
async fn who_writes_stop_is_left_alone_until_they_write_start() {
    let mut world = World::new().await;
    world.posted(&wrote("¡STOP!", 0)).await;
    assert_eq!(told(&mut world).await, 0);
    assert_eq!(
        world.value("select reason || ': ' || reason_text from rowbell.message").await,
        "opted_out: the phone stands in rowbell.opt_out"
    );
    assert_eq!(world.value("select source from rowbell.opt_out").await, "inbound");
    world.posted(&wrote("Start", 1)).await;
    assert_eq!(told(&mut world).await, 1);
    assert_eq!(world.value("select count(*) from rowbell.opt_out").await, "0");
}

#[tokio::test]
async fn a_stop_that_is_posted_again_does_not_undo_a_later_start() {
    let mut world = World::new().await;
    world.posted(&wrote("stop", 0)).await;
    world.posted(&wrote("stop", 0)).await;
    world.posted(&wrote("start", 5)).await;
    world.posted(&wrote("stop", 0)).await;
    assert_eq!(told(&mut world).await, 1, "the last word was start");
    world.posted(&wrote("Abbestellen.", 9)).await;
    world.posted(&wrote("start", 5)).await;
    assert_eq!(told(&mut world).await, 1, "the last word was stop, in another language");
}

#[tokio::test]
async fn both_words_in_one_delivery_count_by_their_time_and_not_by_their_place() {
    let mut world = World::new().await;
    let mut both = wrote("start", 7);
    let stop = wrote("stop", 3)["messages"][0].clone();
    both["messages"].as_array_mut().unwrap().push(stop);
    world.posted(&both).await;
    assert_eq!(told(&mut world).await, 1);
}

#[tokio::test]
async fn a_button_says_it_too_and_so_does_metas_own_form() {
    let world = World::new().await;
    let mut button = wrote("", 0);
    button["messages"][0]["type"] = "interactive".into();
    button["messages"][0]["interactive"] =
        json!({ "button_reply": { "id": "x", "title": "Unsubscribe" } });
    world.posted(&button).await;
    assert_eq!(world.value("select count(*) from rowbell.opt_out").await, "1");
    world
        .posted(&json!({ "entry": [{ "changes": [{ "field": "messages", "value": { "messages": [
            { "id": "wamid.x", "from": "34612345678", "timestamp": "1760000000", "type": "text", "text": { "body": "BAJA" } }
        ] } }] }] }))
        .await;
    assert_eq!(world.value("select count(*) from rowbell.opt_out").await, "2");
}

/// 1MSG passes the reply of a list on, WhatsApp a quick reply with a payload: whatever is shown, STOP is meant.
#[tokio::test]
async fn a_reply_that_was_tapped_says_it_in_whatever_form() {
    let world = World::new().await;
    let tapped = |phone: &str, reply: Value| {
        json!({ "entry": [{ "changes": [{ "field": "messages", "value": { "messages": [
            { "id": "wamid.x", "from": phone, "timestamp": "1760000000", "type": "interactive", "interactive": reply }
        ] } }] }] })
    };
    world
        .posted(&tapped("12122000001", json!({ "button_reply": { "id": "x", "title": "Stop" } })))
        .await;
    world
        .posted(&tapped(
            "12122000002",
            json!({ "list_reply": { "id": "x", "title": "Unsubscribe" } }),
        ))
        .await;
    let payload = json!({ "payload": "STOP", "text": "No, thanks" });
    world
        .posted(&json!({ "messages": [{ "from": "12122000003", "id": "wamid.y", "type": "button", "button": payload }] }))
        .await;
    let mut list = wrote("", 0);
    list["messages"][0]["chatId"] = "12122000004@c.us".into();
    list["messages"][0]["interactive"] =
        json!({ "list_reply": { "id": "stop", "title": "No more" } });
    world.posted(&list).await;
    let who = "select string_agg(right(phone, 1), '' order by phone) from rowbell.opt_out";
    assert_eq!(world.value(who).await, "1234");
}

#[tokio::test]
async fn who_writes_stop_in_a_group_is_left_alone_and_nobody_else() {
    let world = World::new().await;
    let mut said = wrote("STOP", 0);
    said["messages"][0]["chatId"] = "34612345678-1600000000@g.us".into();
    world.posted(&said).await;
    assert_eq!(world.value("select string_agg(phone, ' ') from rowbell.opt_out").await, MARIA);
}

#[tokio::test]
async fn what_an_operator_wrote_is_not_lifted_by_a_word() {
    let mut world = World::new().await;
    let operator =
        format!("insert into rowbell.opt_out (phone, source) values ('{MARIA}', 'operator')");
    world.sql(&operator).await;
    world.posted(&wrote("start", 0)).await;
    assert_eq!(told(&mut world).await, 0);
}

#[tokio::test]
async fn other_words_say_nothing_and_are_not_kept() {
    let mut world = World::new().await;
    world.posted(&wrote("please don't stop, and stop by at ten", 0)).await;
    let mut ours = wrote("stop", 1);
    ours["messages"][0]["fromMe"] = true.into();
    ours["messages"][0]["self"] = 1.into();
    world.posted(&ours).await;
    assert_eq!(told(&mut world).await, 1);
    assert_eq!(world.value("select count(*) from rowbell.opt_out_request").await, "0");
    let kept = "select count(*) from rowbell.receipt where raw like '%stop by%'";
    assert_eq!(world.value(kept).await, "0");
}

/// capo #182: all shared one number, and the STOP of a manager was ignored.
#[tokio::test]
async fn a_stop_on_one_number_holds_on_every_other_and_so_does_a_start() {
    let mut world = World::over(SHOP, &CONFIG.replace("{settings}", SECOND), "").await;
    world.posted(&wrote("stop", 0)).await;
    assert_eq!(told(&mut world).await, 0);
    let mut config = (*world.config).clone();
    config.watch.get_mut("home_delivery").unwrap().channel = "second".to_owned();
    world.config = std::sync::Arc::new(config);
    world.restart().await;
    assert_eq!(told(&mut world).await, 0);
    let mut start = wrote("start", 1);
    start["instanceId"] = "ODI371267301".into();
    world.posted(&start).await;
    assert_eq!(told(&mut world).await, 1);
}

/// A customer asks when they agreed and when they did not, and a lawyer from where that is known.
#[tokio::test]
async fn each_word_about_consent_is_on_record() {
    let world = World::new().await;
    world.posted(&wrote("STOP", 0)).await;
    world.posted(&wrote("STOP", 0)).await;
    world.posted(&wrote("start", 60)).await;
    // The provider, an operator and a hand with SQL write the same list.
    world.sql(&format!("insert into rowbell.opt_out (phone, scope, source, since, reason) values ('{MARIA}', 'clinic', 'operator', '2030-01-01', 'said so')")).await;
    world.sql("delete from rowbell.opt_out where scope = 'clinic'").await;
    let record = "select string_agg(concat_ws(' ', event, source, extract(epoch from case source when 'inbound' then happened_at end)::bigint - 1760000000,
                                              'about ' || watch, origin, reason, recorded_by, 'latest ' || is_latest), E'\n' order by consent_id)
                    from rowbell_report.consent";
    insta::assert_snapshot!(world.value(record).await, @r"
    opted_out inbound 0 channel main wrote that no more messages are wanted postgres latest false
    opted_in inbound 60 postgres latest true
    opted_out operator about clinic said so postgres latest false
    opted_in operator about clinic postgres latest true
    ");
    world.sql("set role rowbell_daemon; insert into rowbell.opt_out (phone, source) values ('1', 'inbound'); delete from rowbell.opt_out where phone = '1'; reset role").await;
    assert_eq!(
        world.value("select count(*) from rowbell_report.consent where phone = '1'").await,
        "2"
    );
}
