//! The application hears what became of its rows, by SQL of its own: one that works, fails, hangs, waits for a lock, or
//! changes the watched table itself. Whatever it does, the outcome is true and the rest goes on.

use std::time::Duration;

use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};

use crate::harness::{CONFIG, SHOP, World};

/// A shop that keeps what its customers know in a table of its own.
async fn shop(hooks: &str) -> World {
    let schema = format!(
        "{SHOP} create table told (
             delivery_id bigint, message bigint, state text, reason text, sent_at timestamptz, at timestamptz default clock_timestamp()
         );"
    );
    let config = CONFIG.replace("{settings}", "[outcome]\ntimeout = \"300ms\"\n");
    World::over(&schema, &format!("{config}\n{hooks}"), "").await
}

const TOLD: &str = r#"
[[watch.home_delivery.outcome]]
states = ["sent", "delivered", "failed"]
sql = "insert into told (delivery_id, message, state, reason, sent_at) values ($key, $message, $state, $reason, $sent_at)"
"#;

async fn told(world: &World) -> String {
    let told = "select string_agg(concat_ws(' ', delivery_id, state, reason, sent_at is not null), ', ' order by at) from told";
    world.value(told).await
}

async fn arrives(world: &World) {
    let id = world
        .value("select provider_message_id from rowbell.message order by message_id desc limit 1")
        .await;
    world
        .receipt(Receipt {
            provider_message_id: id,
            status: ReceiptStatus::Delivered,
            ..Receipt::default()
        })
        .await;
}

/// Each outcome is told once, with what the application wants to know of it, in its order; what it did not ask for is not.
#[tokio::test]
async fn an_application_is_told_what_became_of_its_row() {
    let mut world = shop(TOLD).await;
    world.settle().await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    arrives(&world).await;
    world.work().await;
    assert_eq!(told(&world).await, "1 sent t, 1 delivered t");
    world.sql("update delivery set note = 'x' where id = 1").await;
    world.sql("update customer set phone = null where id = 2; update delivery set address = 'x' where id = 2").await;
    world.settle().await;
    assert_eq!(told(&world).await, "1 sent t, 1 delivered t", "skipped was not asked for");
    assert_eq!(world.value("select count(*) from rowbell.outcome_call").await, "0");
}

/// A hook that cannot run is noted with what the database said, and tried again; the outcome is stored all the same, and
/// the hook of another state goes on. Once the application has mended it, nothing was lost.
#[tokio::test]
async fn a_hook_that_fails_delays_nothing_and_loses_nothing() {
    let mut world = shop(TOLD).await;
    world.settle().await;
    world.sql("alter table told rename to told_before").await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 1 attempt(s)"]);
    let waits = "select concat_ws(' | ', state, attempt_count > 0, last_error) from rowbell_report.outcome_calls";
    assert_eq!(
        world.value(waits).await,
        "sent | t | relation \"told\" does not exist (SQLSTATE 42P01)"
    );
    arrives(&world).await;
    world.sql("alter table told_before rename to told").await;
    world.pass(Duration::from_secs(3_600));
    world.work().await;
    assert_eq!(told(&world).await, "1 sent t, 1 delivered t");
}

/// A hook that hangs, or waits for a lock of the application, ends after its time and is tried again.
#[tokio::test]
async fn a_hook_that_hangs_ends_after_its_time() {
    let sleeps =
        "\n[[watch.home_delivery.outcome]]\nstates = [\"sent\"]\nsql = \"select pg_sleep(600)\"\n";
    let mut world = shop(&format!("{TOLD}{sleeps}")).await;
    world.settle().await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    assert_eq!(told(&world).await, "1 sent t");
    let waits = "select concat_ws(' | ', place, last_error) from rowbell_report.outcome_calls";
    assert_eq!(
        world.value(waits).await,
        "1 | canceling statement due to statement timeout (SQLSTATE 57014)"
    );
    let writer = rowbell_lab::demo::testbed::connect(&world.cluster.url("postgres")).await.unwrap();
    writer.batch_execute("begin; lock table told").await.unwrap();
    world.sql("update delivery set address = '3 New Street' where id = 1").await;
    world.settle().await;
    assert_eq!(world.value("select count(*) from rowbell.message where state = 'sent'").await, "2");
    writer.batch_execute("commit").await.unwrap();
    world.pass(Duration::from_secs(60));
    world.work().await;
    assert_eq!(told(&world).await, "1 sent t, 1 sent t");
}

/// A hook that changes a column which is told would make a message, whose outcome calls the hook, and so on. What a hook
/// changes tells nobody, and of it no hook is told.
#[tokio::test]
async fn a_hook_that_changes_the_watched_table_goes_round_once() {
    let back = "\n[[watch.home_delivery.outcome]]\nstates = [\"sent\", \"skipped\"]\n\
                sql = \"update delivery set status = 'told ' || $state where id = $key\"\n";
    let mut world = shop(back).await;
    world.settle().await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    for _ in 0..3 {
        world.settle().await;
    }
    assert_eq!(world.value("select status from delivery where id = 1").await, "told sent");
    assert_eq!(
        world.value("select count(*) from rowbell.message where sent_at is not null").await,
        "1"
    );
    assert_eq!(world.value("select count(*) from rowbell.outcome_call").await, "0");
    // What the customer is told next is the difference from what the row is now.
    world.sql("update delivery set status = 'on its way' where id = 1").await;
    world.settle().await;
    let said = world.read(crate::harness::MARIA).pop().unwrap();
    assert!(said.contains("told sent → on its way"), "{said}");
}

/// Whoever listens is told too, where that is asked for.
#[tokio::test]
async fn outcomes_are_notified_where_that_is_asked_for() {
    let config = CONFIG.replace("{settings}", "[outcome]\nnotify = true\n");
    let mut world = World::over(SHOP, &config, "").await;
    world.settle().await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    assert_eq!(world.value("select count(*) from rowbell.outcome_call").await, "0");
    assert_eq!(world.value("select count(*) from rowbell.outcome_hook").await, "5");
}

/// What `rowbell check` says of a hook that cannot run, and of one that changes what its own watch tells. Nothing is changed
/// by asking.
#[tokio::test]
async fn check_runs_each_hook_and_undoes_it() {
    let hook = |sql: &str| {
        format!("\n[[watch.home_delivery.outcome]]\nstates = [\"sent\"]\nsql = \"{sql}\"\n")
    };
    let hooks = [
        hook("insert into told (delivery_id, sent_at) values ($key, $sent_at)"),
        hook("insert into nowhere values ($key)"),
        hook("update delivery set status = 'told' where id = $key"),
    ];
    let world = shop(&hooks.concat()).await;
    let mut client = world.stages.context.pool.get().await.unwrap();
    let report = rowbell::operations::check::online(&mut client, &world.config).await;
    let of_hooks = report.findings.iter().filter(|found| found.key.contains("outcome"));
    let of_hooks: Vec<String> =
        of_hooks.map(|found| format!("{}: {}", found.key, found.what)).collect();
    assert_eq!(
        of_hooks,
        [
            "watch.home_delivery.outcome[1].sql: cannot be run: relation \"nowhere\" does not exist (SQLSTATE 42P01)",
            "watch.home_delivery.outcome[2].sql: changes a column that its own watch tells: nobody is told what a hook \
             changes, and no hook is called for it",
        ]
    );
    assert_eq!(
        world
            .value("select (select count(*) from told) + (select count(*) from rowbell.change)")
            .await,
        "0"
    );
    assert_eq!(world.value("select status from delivery where id = 1").await, "planned");
}
