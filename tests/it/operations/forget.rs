//! Forgetting a person: nothing of them is left in the schema, the facts are, and others keep theirs.

use std::time::Duration;

use rowbell::operations::forget::{find, forget};

use crate::harness::{JUAN, MARIA, World};

/// Every row of ours in which the phone, the name or the address of Maria stands.
const TRACES: &str = "select count(*) from (
    select m::text as text from rowbell.message m union all select a::text from rowbell.attempt a
    union all select r::text from rowbell.receipt r union all select c::text from rowbell.change c
    union all select q::text from rowbell.queue q union all select w::text from rowbell.opt_out_request w
) as stored where text ~ '2000001|Maria|hers'";

async fn forgotten(world: &World, phone: &str) -> String {
    let mut client = world.stages.context.pool.get().await.unwrap();
    let found = find(&mut client, &world.config, phone).await.unwrap();
    forget(&mut client, &world.clock, phone, &found).await.unwrap();
    serde_json::to_string(&found).unwrap()
}

/// Told once; skipped once without a name on it; waiting; and a change that nobody has taken yet.
async fn lived() -> World {
    let mut world = World::new().await;
    world.sql("insert into delivery select 3, 1, 'planned', now(), now(), 'hers'").await;
    world.settle().await;
    world.sql("update delivery set address = 'hers, moved' where id = 1").await;
    world.sql("update delivery set address = 'his' where id = 2").await;
    world.settle().await;
    world.sql("update customer set whatsapp_opt_in = false where id = 1").await;
    world.sql("update delivery set address = 'hers again' where id = 3").await;
    world.settle().await;
    world.sql("update customer set whatsapp_opt_in = true where id = 1").await;
    world.sql("insert into rowbell.pause (kind, name) values ('watch', 'home_delivery')").await;
    world.sql("update delivery set address = 'hers for ever' where id in (1, 3)").await;
    world.work().await;
    world.sql("update delivery set status = 'packed' where id = 3").await;
    let receipts = format!(
        "update rowbell.attempt as a set response = 'sent to {MARIA}'
           from rowbell.message as m where m.message_id = a.message_id and m.recipient_name = 'Maria';
         insert into rowbell.receipt (channel, provider_message_id, status, raw, recipient_phone, source)
         values ('main', 'orphan', 'delivered', '{MARIA}@c.us', '{MARIA}', 'webhook'), ('main', 'his', 'read', '{JUAN}', '{JUAN}', 'webhook');
         insert into rowbell.opt_out_request values ('{MARIA}', false, now())"
    );
    world.sql(&receipts).await;
    world
}

#[tokio::test]
async fn nothing_of_the_person_is_left_and_the_facts_are() {
    let mut world = lived().await;
    let before = world.messages().await.len();
    let seen = forgotten(&world, MARIA).await;
    insta::assert_snapshot!(seen);
    let left = TRACES.replace("count(*)", "string_agg(text, ' | ')");
    assert_eq!(world.value(&left).await, "null");
    let messages = world.messages().await;
    assert_eq!(messages.len(), before);
    insta::assert_snapshot!("facts", messages.join("\n"));
    let why = "select string_agg(distinct reason_text, '; ') from rowbell.message where reason = 'discarded'";
    assert_eq!(world.value(why).await, "its recipient was forgotten");
    let his = "select count(*) from rowbell.message where recipient_name = 'Juan' and summary like '%his%'";
    assert_eq!(world.value(his).await, "1");
    assert_eq!(
        world.value("select raw from rowbell.receipt where provider_message_id = 'his'").await,
        JUAN
    );
    world.sql("delete from rowbell.pause").await;
    world.pass(Duration::from_secs(3_600));
    world.work().await;
    assert_eq!(world.sandbox.count(), 3, "what was open does not leave");
}

#[tokio::test]
async fn a_phone_is_found_in_the_form_that_whatsapp_gives_it() {
    let mut world = World::new().await;
    world.sql("update customer set phone = '+52 55 1234 5678' where id = 1").await;
    world.sql("update delivery set address = 'hers' where id = 1").await;
    world.settle().await;
    assert_eq!(world.value(TRACES).await, "1");
    forgotten(&world, "5215512345678").await;
    assert_eq!(world.value(TRACES).await, "0");
}

#[tokio::test]
async fn who_was_forgotten_is_told_the_next_difference_only() {
    let mut world = lived().await;
    forgotten(&world, MARIA).await;
    world.sql("delete from rowbell.pause").await;
    world.sql("update delivery set status = 'on_the_way' where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA).pop().unwrap();
    assert!(read.contains("planned → on_the_way") && !read.contains("hers"), "{read}");
}
