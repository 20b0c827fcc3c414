//! Every gate, with the reason that stands on record.

use std::time::Duration;

use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};

use crate::harness::{HEAD, MARIA, World};

const MOVE: &str = "update delivery set address = 'moved' where id = 1";

/// What becomes of a change of Maria's delivery when the shop looks like this.
async fn outcome(watch: &str, shop: &str) -> (String, String, u64) {
    let mut world = World::with(watch).await;
    if !shop.is_empty() {
        world.sql(shop).await;
    }
    world.sql(MOVE).await;
    world.settle().await;
    let said = "select coalesce(reason_text, '') from rowbell.message where entity_key = '1' order by 1 desc limit 1";
    (world.messages().await.join("; "), world.value(said).await, world.sandbox.count())
}

#[tokio::test]
async fn a_recipient_that_the_query_does_not_find() {
    let (messages, said, sent) = outcome("", "delete from customer where id = 1").await;
    assert_eq!(messages, "1 skipped no_recipient 1 change(s) 0 attempt(s)");
    assert_eq!(said, "the recipient query found nobody");
    assert_eq!(sent, 0);
}

#[tokio::test]
async fn phones_that_are_none() {
    for phone in ["null", "''", "'call my wife'", "'+1 555'", "'612345678'"] {
        let shop = format!("update customer set phone = {phone} where id = 1");
        let (messages, said, sent) = outcome("", &shop).await;
        assert_eq!(messages, "1 skipped bad_phone 1 change(s) 0 attempt(s)", "{phone}");
        assert!(!said.contains("612345678"), "a reason holds no phone: {said}");
        assert_eq!(sent, 0);
    }
}

#[tokio::test]
async fn a_recipient_that_did_not_opt_in() {
    for consent in ["false", "null"] {
        let shop = format!("update customer set whatsapp_opt_in = {consent} where id = 1");
        let (messages, said, sent) = outcome("", &shop).await;
        assert_eq!(messages, "1 skipped opted_out 1 change(s) 0 attempt(s)", "{consent}");
        assert_eq!(said, "opted_in of the recipient is not true");
        assert_eq!(sent, 0);
    }
}

#[tokio::test]
async fn a_phone_that_opted_out() {
    let shop =
        format!("insert into rowbell.opt_out (phone, source) values ('{MARIA}', 'operator')");
    let (messages, said, sent) = outcome("", &shop).await;
    assert_eq!(messages, "1 skipped opted_out 1 change(s) 0 attempt(s)");
    assert_eq!(said, "the phone stands in rowbell.opt_out");
    assert_eq!(sent, 0);
}

#[tokio::test]
async fn a_delivery_that_is_over() {
    let shop = "update delivery set window_end = now() - interval '1 hour' where id = 1; \
                delete from rowbell.change";
    let (messages, said, sent) = outcome("expires_at = \"window_end\"", shop).await;
    assert_eq!(messages, "1 skipped stale 1 change(s) 0 attempt(s)");
    assert!(said.starts_with("expires_at of the watch was "), "{said}");
    assert_eq!(sent, 0);
}

#[tokio::test]
async fn a_row_that_is_gone_where_deletes_are_not_told() {
    let mut world = World::with("").await;
    let mut config = (*world.config).clone();
    config.watch.get_mut("home_delivery").unwrap().on =
        vec![rowbell::domain::value::change::Operation::Update];
    world.config = std::sync::Arc::new(config);
    world.restart().await;
    world.sql(MOVE).await;
    world.work().await;
    world
        .sql("set session_replication_role = replica; delete from delivery where id = 1; reset session_replication_role")
        .await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 skipped stale 1 change(s) 0 attempt(s)"]);
    assert_eq!(world.sandbox.count(), 0);
}

#[tokio::test]
async fn one_bad_row_does_not_stop_the_others() {
    // A recipient query that fails for Juan only.
    let mut world = World::over(
        "create table customer (id bigint primary key, full_name text, phone text, code text);
         create table delivery (id bigint primary key, customer_id bigint, address text);
         insert into customer values (1, 'Maria', '+1 212 200 0001', '7'), (2, 'Juan', '+34 612 345 678', 'seven');
         insert into delivery values (1, 1, 'a'), (2, 2, 'b'), (3, 1, 'c');",
        &(HEAD.to_owned() + r#"body = ["{{ recipient.name }}", "delivery", "{{ summary }}"]
[watch.home_delivery]
table = "public.delivery"
channel = "main"
template = "service_change"
columns = ["address"]
context = ["customer_id"]
recipient = "select full_name as name, phone, code::integer as code from customer where id = changed.customer_id"
quiet_period = "0s"
"#),
        "",
    )
    .await;
    world.sql("update delivery set address = address || ' moved'").await;
    for _ in 0..4 {
        world.settle().await;
        world.pass(Duration::from_secs(60));
    }
    assert_eq!(
        world.messages().await,
        [
            "1 sent 1 change(s) 1 attempt(s)",
            "2 failed unwritable 1 change(s) 0 attempt(s)",
            "3 sent 1 change(s) 1 attempt(s)"
        ]
    );
}

#[tokio::test]
async fn a_watch_whose_table_lost_a_column_keeps_its_changes_and_recovers() {
    let mut world = World::new().await;
    world.sql(MOVE).await;
    world.sql("alter table customer rename column phone to telephone").await;
    world.settle().await;
    assert_eq!(world.sandbox.count(), 0);
    world.sql("alter table customer rename column telephone to phone").await;
    for _ in 0..4 {
        world.settle().await;
    }
    assert_eq!(world.read(MARIA).len(), 1);
}

#[tokio::test]
async fn receipts_move_a_message_whatever_their_order() {
    let mut world = World::new().await;
    world.sql(MOVE).await;
    world.settle().await;
    let id = world.sandbox.seen(MARIA)[0].id.clone();
    let steps = [
        (ReceiptStatus::Delivered, "delivered"),
        (ReceiptStatus::Sent, "delivered"),
        (ReceiptStatus::Failed, "delivered"),
        (ReceiptStatus::Read, "read"),
        (ReceiptStatus::Delivered, "read"),
    ];
    for (status, expected) in steps {
        world
            .receipt(Receipt {
                provider_message_id: id.clone(),
                status,
                error_code: None,
                error_text: None,
                occurred_at: Some(world.now()),
                ..Receipt::default()
            })
            .await;
        assert_eq!(world.value("select state from rowbell.message").await, expected);
    }
    assert_eq!(world.value("select count(*) from rowbell.receipt").await, "5");
}

/// What a rule keeps silent about is known all the same: silence about a new row was silence about it for ever.
#[tokio::test]
async fn what_a_rule_keeps_silent_about_counts_as_told() {
    let silent =
        "[[watch.home_delivery.say]]\noperation = \"insert\"\nsilent = true\ncovers = [\"*\"]";
    let mut world = World::with(silent).await;
    world
        .sql(
            "insert into delivery values
                 (3, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', '1 Main Street'),
                 (4, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', '4 Main Street')",
        )
        .await;
    world.settle().await;
    assert_eq!(world.read(MARIA), [""; 0]);
    world
        .sql("update delivery set status = 'late' where id = 3; delete from delivery where id = 4")
        .await;
    world.settle().await;
    let mut read = world.read(MARIA);
    read.sort();
    assert_eq!(read.len(), 2, "{read:?}");
    assert!(read[0].contains("updated. It has been cancelled. If"), "{read:?}");
    assert!(read[1].contains("updated. status: planned → late. If"), "{read:?}");
}
