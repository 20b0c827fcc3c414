//! The application hears what became of its rows, by SQL of its own: one that works, fails, hangs, waits for a lock, or
//! changes the watched table itself. Whatever it does, the outcome is true and the rest goes on.

use std::future::poll_fn;
use std::time::Duration;

use rowbell::domain::message::receipt::{Receipt, ReceiptStatus};
use tokio_postgres::{AsyncMessage, NoTls};

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

/// Whoever listens is notified where that is asked for: of many outcomes at once, each once, those of a message in their order.
#[tokio::test]
async fn whoever_listens_is_notified_of_many_outcomes_at_once() {
    let config = CONFIG.replace("{settings}", "[outcome]\nnotify = true\n");
    let rows = "insert into customer select i, 'C', '+1 212 201 ' || i, 'en', 'UTC', true from generate_series(1000, 1099) as i;
                insert into delivery (id, customer_id) select i, i from generate_series(1000, 1099) as i";
    let mut world = World::over(&format!("{SHOP} {rows};"), &config, "").await;
    let (listener, mut connection) =
        tokio_postgres::connect(&world.cluster.url("postgres"), NoTls).await.unwrap();
    let (heard, mut hear) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message {
                heard.send(notification.payload().to_owned()).unwrap();
            }
        }
    });
    listener.batch_execute("listen rowbell_outcome").await.unwrap();
    world.settle().await;
    world.sql("update delivery set address = '2 New Street' where id >= 1000").await;
    world.settle().await;
    arrives(&world).await;
    world.work().await;
    assert_eq!(world.value("select count(*) from rowbell.outcome_call").await, "0");
    // What was notified before this session is answered has arrived with the answer.
    listener.batch_execute("select 1").await.unwrap();
    let mut notifications = Vec::new();
    while let Ok(payload) = hear.try_recv() {
        notifications.push(payload);
    }
    assert!(notifications.len() <= 5, "{} notifications of 101 outcomes", notifications.len());
    let outcomes: Vec<serde_json::Value> = notifications
        .iter()
        .flat_map(|payload| serde_json::from_str::<Vec<serde_json::Value>>(payload).unwrap())
        .collect();
    assert_eq!(outcomes.len(), 101);
    let last: i64 =
        world.value("select max(message_id) from rowbell.message").await.parse().unwrap();
    let of_last = outcomes.iter().filter(|outcome| outcome["message"] == last);
    let states: Vec<&str> = of_last.map(|outcome| outcome["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["sent", "delivered"]);
    assert_eq!(outcomes[0]["watch"], "home_delivery");
    assert!(outcomes[0]["key"].is_string());
}

/// Where nobody asked for it, nobody is notified.
#[tokio::test]
async fn nothing_is_notified_by_default() {
    let mut world = World::new().await;
    world.settle().await;
    assert_eq!(world.value("select count(*) from rowbell.outcome_hook").await, "0");
}

/// A hook runs as the role that the site has chosen, and may do what that one may.
#[tokio::test]
async fn a_hook_runs_as_the_role_that_the_site_has_chosen() {
    let hooks = "\n[[watch.home_delivery.outcome]]\nstates = [\"sent\"]\nrole = \"crm\"\n\
                 sql = \"insert into seen values ($message, current_user)\"\n\
                 \n[[watch.home_delivery.outcome]]\nstates = [\"sent\"]\nrole = \"crm\"\n\
                 sql = \"delete from customer where $message > 0\"\n";
    let schema = format!(
        "{SHOP} create table seen (message bigint, by text); create role crm; grant insert on seen to crm;"
    );
    let mut world = World::over(&schema, &format!("{CONFIG}\n{hooks}"), "").await;
    world.settle().await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    assert_eq!(world.value("select string_agg(by, ',') from seen").await, "crm");
    let refused = "select concat_ws(' | ', place, last_error) from rowbell_report.outcome_calls";
    assert_eq!(
        world.value(refused).await,
        "1 | permission denied for table customer (SQLSTATE 42501)"
    );
    assert_eq!(world.value("select count(*) from customer").await, "2");
}

/// A hook and a transaction of the application wait for each other. The hook gives way before PostgreSQL looks for a
/// deadlock, whose victim might be the application; its outcome is told later, and meanwhile all else goes on.
#[tokio::test]
async fn in_a_deadlock_the_hook_gives_way_and_not_the_application() {
    let schema = format!(
        "{SHOP} create table stock (id int primary key, told int default 0); insert into stock values (1), (2);
         create function tell(state text) returns void language plpgsql as $$
         begin
             update stock set told = told + 1 where id = 2;
             update stock set told = told + 1 where id = 1;
         end $$;"
    );
    let hook =
        "\n[[watch.home_delivery.outcome]]\nstates = [\"sent\"]\nsql = \"select tell($state)\"\n";
    let mut world = World::over(&schema, &format!("{CONFIG}\n{hook}"), "").await;
    world.settle().await;
    let url = world.cluster.url("postgres");
    let writer = rowbell_lab::demo::testbed::connect(&url).await.unwrap();
    let looker = rowbell_lab::demo::testbed::connect(&url).await.unwrap();
    writer.batch_execute("begin; update stock set told = told where id = 1").await.unwrap();
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    let application = async {
        let waits =
            "select from pg_stat_activity where wait_event_type = 'Lock' and query like '%tell%'";
        while looker.query(waits, &[]).await.unwrap().is_empty() {}
        // It waits for the hook, which waits for it.
        writer.batch_execute("update stock set told = told where id = 2; commit").await
    };
    let (told, ()) = tokio::join!(application, world.work());
    told.expect("the application is no victim");
    assert_eq!(world.messages().await, ["1 sent 1 change(s) 1 attempt(s)"]);
    let waits = "select last_error from rowbell_report.outcome_calls";
    assert_eq!(
        world.value(waits).await,
        "canceling statement due to lock timeout (SQLSTATE 55P03)"
    );
    world.pass(Duration::from_secs(60));
    world.work().await;
    assert_eq!(world.value("select array_agg(told) from stock").await, "{1,1}");
    assert_eq!(world.value("select count(*) from rowbell.outcome_call").await, "0");
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
