//! Personal data goes after its time, facts after theirs, nobody waits for it, and nobody is told old news.

use std::time::Duration;

use rowbell::pipeline::context::stage::{Progress, Stage as _};
use serde_json::json;
use tokio_postgres::Client;

use crate::harness::{MARIA, World};

const DAY: Duration = Duration::from_secs(86_400);
/// Every place in which the words, the name, the phone or the address of Maria stand.
const TRACES: &str = "select count(*) from (
    select m::text as text from rowbell.message m union all select a::text from rowbell.attempt a
    union all select r::text from rowbell.receipt r union all select c::text from rowbell.change c
    union all select q::text from rowbell.queue q union all select w::text from rowbell.opt_out_request w
) as stored where text ~ '2000001|Maria|Street|moved'";

async fn retain(world: &mut World) {
    while world.stages.retention.step().await.unwrap() == Progress::Worked {}
}

async fn moved(world: &mut World, to: &str) {
    world.sql(&format!("update delivery set address = 'moved {to}' where id = 1")).await;
    world.settle().await;
}

#[tokio::test]
async fn personal_data_goes_after_its_time_and_the_facts_stay_until_theirs() {
    let mut world = World::new().await;
    moved(&mut world, "here").await;
    let id = world.value("select provider_message_id from rowbell.message").await;
    world
        .sql(&format!(
            "update rowbell.attempt set response = 'to {MARIA}';
             insert into rowbell.receipt (channel, provider_message_id, status, raw, recipient_phone, source, received_at)
             select 'main', unnest(array['{id}', 'orphan']), 'delivered', '{MARIA}', '{MARIA}', 'webhook', created_at from rowbell.message"
        ))
        .await;
    world.pass(89 * DAY);
    retain(&mut world).await;
    assert_eq!(world.value(TRACES).await, "4");
    world.pass(2 * DAY);
    retain(&mut world).await;
    assert_eq!(world.value(TRACES).await, "0");
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 1 attempt(s)"]);
    assert_eq!(
        world.value("select count(*) from rowbell.receipt where status = 'delivered'").await,
        "2"
    );
    assert_eq!(world.value("select redacted_at is not null from rowbell.message").await, "true");
    world.pass(640 * DAY);
    retain(&mut world).await;
    let left =
        "select (select count(*) from rowbell.message) + (select count(*) from rowbell.attempt)
                       + (select count(*) from rowbell.receipt)";
    assert_eq!(world.value(left).await, "0");
}

#[tokio::test]
async fn who_was_told_long_ago_is_told_the_new_difference_only() {
    let mut world = World::new().await;
    moved(&mut world, "here").await;
    world.sql("update delivery set status = 'packed' where id = 1").await;
    world.settle().await;
    world.pass(91 * DAY);
    retain(&mut world).await;
    moved(&mut world, "there").await;
    world.muted("typo", "update delivery set address = 'moved There' where id = 1").await;
    world.work().await;
    world.pass(91 * DAY);
    retain(&mut world).await;
    world.sql("update delivery set status = 'on_the_way' where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA).join("\n");
    insta::assert_snapshot!(read);
}

#[tokio::test]
async fn who_was_never_told_is_told_the_new_difference_only() {
    let mut world = World::new().await;
    world.sql("update customer set whatsapp_opt_in = false").await;
    moved(&mut world, "here").await;
    world.pass(91 * DAY);
    retain(&mut world).await;
    world.sql("update customer set whatsapp_opt_in = true").await;
    world.sql("update delivery set status = 'packed' where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA).join("\n");
    assert!(read.contains("planned → packed") && !read.contains("moved"), "{read}");
}

#[tokio::test]
async fn what_still_has_to_leave_is_kept_whole() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'moved' where id = 1").await;
    world.work().await;
    world.pass(800 * DAY);
    retain(&mut world).await;
    world.work().await;
    assert_eq!(world.read(MARIA).len(), 1);
}

#[tokio::test]
async fn retention_can_be_switched_off() {
    let mut world = World::with_settings("[retention]\npersonal = \"never\"\nfacts = \"0\"").await;
    moved(&mut world, "here").await;
    world.pass(4_000 * DAY);
    retain(&mut world).await;
    assert_eq!(world.value(TRACES).await, "1");
}

/// What holds of a STOP is the opt-out: it stays, and an old START that is posted again does not lift it.
#[tokio::test]
async fn what_a_customer_wished_is_forgotten_and_still_holds() {
    let mut world = World::new().await;
    let wrote = |word: &str, at: i64| json!({ "messages": [{ "id": "wamid.x", "body": word, "fromMe": false, "chatId": format!("{MARIA}@c.us"), "time": at }] });
    let began = world.now().as_second();
    world.posted(&wrote("start", began - 60)).await;
    world.posted(&wrote("stop", began)).await;
    world.pass(89 * DAY);
    retain(&mut world).await;
    assert_eq!(world.value("select count(*) from rowbell.opt_out_request").await, "1");
    world.pass(2 * DAY);
    retain(&mut world).await;
    assert_eq!(world.value("select count(*) from rowbell.opt_out_request").await, "0");
    world.posted(&wrote("start", began - 60)).await;
    moved(&mut world, "here").await;
    assert_eq!(world.messages().await, ["1 skipped opted_out 1 change(s) 0 attempt(s)"]);
    let now = world.now().as_second();
    world.posted(&wrote("start", now)).await;
    moved(&mut world, "there").await;
    assert_eq!(world.read(MARIA).len(), 1, "a new word lifts it");
}

async fn another_session(world: &World) -> Client {
    rowbell_lab::demo::testbed::connect(&world.cluster.url("postgres")).await.unwrap()
}

/// An analyst holds an old snapshot, somebody writes to a message, a receipt arrives: all go on, and so
/// does retention; what was locked goes when the ids are walked again.
#[tokio::test]
async fn nobody_waits_for_retention_and_it_waits_for_nobody() {
    let mut world = World::new().await;
    world
        .sql(
            "insert into rowbell.message (watch, entity_key, state, reason, operation, first_changed_at, last_changed_at,
                    old_row, recipient_name, channel, finished_at, created_at, updated_by)
             select 'home_delivery', n::text, 'skipped', 'stale', 'update', now(), now(), '{\"address\": \"Street\"}',
                    'Maria', 'main', now(), now(), 'test'
               from generate_series(1, 3000) as n",
        )
        .await;
    world.pass(91 * DAY);
    let analyst = another_session(&world).await;
    let snapshot = "begin isolation level repeatable read; select count(*) from rowbell.message";
    analyst.batch_execute(snapshot).await.unwrap();
    let writer = another_session(&world).await;
    let write = "begin; update rowbell.message set reason_text = 'x' where message_id = 1700";
    writer.batch_execute(write).await.unwrap();
    let bystander = another_session(&world).await;
    bystander.batch_execute("set lock_timeout = '1s'").await.unwrap();

    let backoff = Duration::from_secs(20);
    let walked = async {
        while world.stages.retention.step().await.unwrap() == Progress::Worked {
            let touch =
                "update rowbell.message set reason_text = 'y' where message_id in (1, 1500, 2999)";
            bystander.batch_execute(touch).await.unwrap();
        }
    };
    tokio::time::timeout(backoff, walked).await.expect("retention waits for a lock");
    let kept =
        "select string_agg(message_id::text, ' ') from rowbell.message where redacted_at is null";
    assert_eq!(world.value(kept).await, "1700");
    writer.batch_execute("commit").await.unwrap();
    world.pass(DAY);
    retain(&mut world).await;
    assert_eq!(world.value(kept).await, "1700", "its ids are not walked again so soon");
    world.pass(7 * DAY);
    retain(&mut world).await;
    assert_eq!(world.value(kept).await, "null");
    analyst.batch_execute("commit").await.unwrap();
}
