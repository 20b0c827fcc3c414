//! The owner of the business decides about a storm and about doubts, without a shell.

use std::time::Duration;

use reqwest::StatusCode;
use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::{ACT_TOKEN, MARIA, READ_TOKEN, World};
use crate::page::browser::{Browser, PAGE, Served, careful_shop, move_twenty, states};

/// Twenty deliveries move at once, and wait.
async fn storm() -> (World, Served) {
    let mut world = careful_shop().await;
    move_twenty(&mut world).await;
    let served = Served::of(&world).await;
    (world, served)
}

/// The owner sees the texts as they would leave, lets three go to see how they look, then all; the messages and the
/// record say who it was.
#[tokio::test]
async fn a_storm_is_approved_in_part_then_as_a_whole() {
    let (mut world, served) = storm().await;
    let owner = Browser::of(&served, "Olga", ACT_TOKEN).await;
    let seen = owner.get("/holds").await;
    assert!(seen.has("20 messages wait") && seen.has("Dock 7"), "{}", seen.text);
    assert!(
        seen.has("class=\"bubble\"") && !seen.has("Maria") && !seen.has(MARIA),
        "{}",
        seen.text
    );
    let some = owner.submit("/holds", "/hold/1/approved", &[("messages", "3")]).await;
    assert_eq!(some.location.as_deref(), Some("/holds"), "{}", some.text);
    world.settle().await;
    assert_eq!(states(&world).await, "sent 3");
    assert!(owner.get("/holds").await.has("17 messages wait"));
    let seen = owner.submit("/holds", "/hold/1/approved", &[("messages", "none")]).await;
    assert_eq!(seen.status, StatusCode::CONFLICT);
    owner.submit("/holds", "/hold/1/approved", &[("all", "yes"), ("messages", "10")]).await;
    world.settle().await;
    assert_eq!(states(&world).await, "sent 20");
    let seen = owner.get("/holds").await;
    assert!(seen.has("17 messages of hold 1") && seen.has("Olga (page)"), "{}", seen.text);
    let acts = "select string_agg(concat_ws(' ', decided_by, kind, messages), ', ' order by act_id) from rowbell_report.person_acts";
    assert_eq!(world.value(acts).await, "Olga (page) approved 3, Olga (page) approved 17");
}

/// Whoever may only read sees the same and is offered nothing; a form made by hand does nothing either.
#[tokio::test]
async fn who_may_only_read_decides_nothing() {
    let (mut world, served) = storm().await;
    let reader = Browser::of(&served, "Rita", READ_TOKEN).await;
    let seen = reader.get("/holds").await;
    assert!(
        seen.has("20 messages wait") && seen.has("You may only read") && !seen.has("Let all leave")
    );
    let token = seen.hidden("form_token");
    for path in ["/hold/1/approved", "/hold/1/discarded", "/message/1/settled"] {
        let seen = reader.post(path, &[("all", "yes"), ("form_token", token.as_str())]).await;
        assert_eq!(seen.status, StatusCode::FORBIDDEN, "{path}");
        assert!(seen.has("You may only read"), "{}", seen.text);
    }
    // Nor does the form of somebody else's login.
    let owner = Browser::of(&served, "Olga", ACT_TOKEN).await;
    let seen =
        owner.post("/hold/1/approved", &[("all", "yes"), ("form_token", token.as_str())]).await;
    assert_eq!(seen.status, StatusCode::FORBIDDEN);
    world.settle().await;
    assert_eq!(states(&world).await, "null");
    assert!(reader.get("/holds").await.has("20 messages wait"));
    assert_eq!(world.value("select count(*) from rowbell.person_act").await, "0");
}

/// What is discarded ends with its reason; where it counts as told, the next change says nothing of it.
#[tokio::test]
async fn a_storm_is_discarded() {
    let (mut world, served) = storm().await;
    let owner = Browser::of(&served, "Olga", ACT_TOKEN).await;
    let why = [("all", "yes"), ("as_told", "yes"), ("reason", "an import")];
    owner.submit("/holds", "/hold/1/discarded", &why).await;
    world.settle().await;
    assert_eq!(states(&world).await, "skipped 20");
    let text = "select distinct reason || ': ' || reason_text from rowbell.message";
    assert_eq!(world.value(text).await, "muted: discarded by Olga (page): an import");
    let again = owner.get("/holds").await;
    assert!(again.has("No message waits for a person") && again.has("an import"), "{}", again.text);
}

/// The customer says on the phone that she has it: the message counts as delivered, and it stands who said so.
#[tokio::test]
async fn a_doubt_is_marked_as_arrived() {
    let mut world = World::with_settings(PAGE).await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Lost { status: 504 })]);
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    world.pass(Duration::from_secs(600));
    world.work().await;
    let served = Served::of(&world).await;
    let owner = Browser::of(&served, "Olga", ACT_TOKEN).await;
    let seen = owner.get("/holds").await;
    assert!(seen.has("No evidence came in time") && seen.has("It arrived"), "{}", seen.text);
    let id = world.value("select message_id from rowbell.message").await;
    let path = format!("/message/{id}/settled");
    let seen =
        owner.submit("/holds", &path, &[("settlement", "arrived"), ("reason", "she called")]).await;
    assert_eq!(seen.location, Some(format!("/message/{id}")), "{}", seen.text);
    let seen = owner.get(&format!("/message/{id}")).await;
    assert!(seen.has("delivered") && !seen.has("Did it arrive?"), "{}", seen.text);
    assert!(seen.has("Olga (page)</strong> said that it arrived: she called"), "{}", seen.text);
    let text = "select concat_ws(' | ', state, confirmed_by, reason_text) from rowbell.message";
    assert_eq!(
        world.value(text).await,
        "delivered | Olga (page) | Olga (page) says that it arrived: she called"
    );
    let token = seen.hidden("form_token");
    let fields = [("settlement", "give_up"), ("form_token", token.as_str())];
    let late = owner.post(&path, &fields).await;
    assert!(
        late.status == StatusCode::CONFLICT && late.has("not unconfirmed any more"),
        "{}",
        late.text
    );
}
