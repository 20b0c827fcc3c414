//! Storms: a bulk edit waits for a person, whatever the size of a claim, and nothing slips out.

use std::path::Path;
use std::time::{Duration, Instant};

use rowbell::domain::message::state::Skip;
use rowbell::postgres::operations::holds::{self, HoldSelection};
use rowbell_lab::demo::cluster::ClusterOptions;
use rowbell_lab::demo::testbed::{Testbed, TestbedOptions};
use rowbell_lab::sandbox::{ReceiptOptions, SandboxOptions};

use crate::harness::{MARIA, World};

/// The shop with `count` more deliveries from id 101 on, and a watch that sends at once.
async fn shop(count: usize, watch: &str) -> World {
    let mut world = World::with(watch).await;
    let more = format!(
        "insert into delivery select i, 1 + i % 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'start'
           from generate_series(101, {}) i; delete from rowbell.change",
        100 + count
    );
    world.sql(&more).await;
    world.work().await;
    world
}

/// Messages by state and reason, and what stands on the holds.
async fn stand(world: &World) -> String {
    let states = "select string_agg(s, ', ' order by s) from (
                     select word || ' ' || sum(n) as s
                       from (select state || coalesce(' ' || reason, '') as word, count(*) as n
                               from rowbell.message group by state, reason
                              union all
                             select 'held', entity_count from rowbell.large_transaction where decision is null) as all_of_them
                      group by word) as s";
    let holds = "select string_agg(concat_ws(' ', h.reason || ':', h.message_count, 'joined'), '; ' order by h.hold_id)
                   from rowbell.hold h";
    format!("{} | {}", world.value(states).await, world.value(holds).await)
}

fn at_once(storm: &str) -> String {
    format!("storm = {storm}")
}

/// lessons 4.57: a backfill fires every trigger (agicash #1016).
#[tokio::test]
async fn a_bulk_edit_is_held_as_a_whole_even_if_it_begins_at_the_end_of_a_claim() {
    // A claim takes at most 300: 299 small transactions, then the first row of the large one.
    let mut world = shop(700, &at_once("{ transaction = 50, minute = 0 }")).await;
    for id in 101..=399 {
        world.sql(&format!("update delivery set address = 'small' where id = {id}")).await;
    }
    world.sql("update delivery set address = 'bulk' where id >= 400").await;
    world.settle().await;
    assert_eq!(
        stand(&world).await,
        "held 401, sent 299 | one transaction changed more than 50 rows: 401 joined"
    );
    let bulk = world.sandbox.all_seen().iter().filter(|seen| seen.text.contains("bulk")).count();
    assert_eq!(bulk, 0);
}

#[tokio::test]
async fn a_transaction_of_many_statements_is_one_storm_and_one_that_changes_one_row_often_is_none()
{
    let mut world = shop(100, &at_once("{ transaction = 50, minute = 0 }")).await;
    world.sql("begin").await;
    for id in 101..=151 {
        world.sql(&format!("update delivery set address = 'row by row' where id = {id}")).await;
    }
    world.sql("commit").await;
    world.sql("begin").await;
    for i in 0..400 {
        world.sql(&format!("update delivery set address = 'a{i}' where id = 200")).await;
    }
    world.sql("commit").await;
    world.settle().await;
    assert_eq!(
        stand(&world).await,
        "held 51, sent 1 | one transaction changed more than 50 rows: 51 joined"
    );
}

#[tokio::test]
async fn as_many_rows_as_the_limit_says_leave() {
    let mut world = shop(50, &at_once("{ transaction = 50, minute = 0 }")).await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    assert_eq!(stand(&world).await, "sent 50 | null");
}

#[tokio::test]
async fn a_muted_bulk_edit_is_no_storm() {
    let mut world = shop(100, &at_once("{ transaction = 50, minute = 0 }")).await;
    world.muted("tidy", "update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    assert_eq!(stand(&world).await, "skipped muted 100 | null");
}

#[tokio::test]
async fn a_message_that_waits_joins_the_storm_that_its_row_is_part_of() {
    let mut world = shop(60, &at_once("{ transaction = 50, minute = 0 }")).await;
    world.sql("update delivery set status = 'packed' where id = 101").await;
    world.work().await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    assert_eq!(
        stand(&world).await,
        "held 60 | one transaction changed more than 50 rows: 60 joined"
    );
    // Later changes fold into what is held.
    world.sql("update delivery set address = 'later' where id = 101").await;
    world.settle().await;
    assert_eq!(
        world.messages().await.iter().filter(|line| line.starts_with("101 ")).collect::<Vec<_>>(),
        ["101 held 3 change(s) 0 attempt(s)"]
    );
}

#[tokio::test]
async fn too_many_rows_within_a_minute_are_held_and_what_waits_joins_them() {
    let mut world = shop(100, &at_once("{ transaction = 0, minute = 20 }")).await;
    for id in 101..=130 {
        world.sql(&format!("update delivery set address = 'one by one' where id = {id}")).await;
        world.work().await;
    }
    world.settle().await;
    assert_eq!(
        stand(&world).await,
        "held 30 | more than 20 rows were changed within a minute: 30 joined"
    );
    // The storm is over a minute later.
    world.pass(Duration::from_secs(120));
    world.sql("update rowbell.change set changed_at = changed_at + interval '1 day'").await;
    world.sql("update delivery set address = 'calm' where id = 200").await;
    world.sql("update rowbell.change set changed_at = changed_at + interval '5 min'").await;
    world.pass(Duration::from_secs(300));
    world.settle().await;
    assert_eq!(
        stand(&world).await,
        "held 30, sent 1 | more than 20 rows were changed within a minute: 30 joined"
    );
}

#[tokio::test]
async fn another_daemon_goes_on_with_the_same_hold() {
    let mut world = shop(700, &at_once("{ transaction = 500, minute = 0 }")).await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.stages.claim.step().await.unwrap();
    world.restart().await;
    // What is left now would be no storm by itself.
    world.settle().await;
    assert_eq!(
        stand(&world).await,
        "held 700 | one transaction changed more than 500 rows: 700 joined"
    );
}

#[tokio::test]
async fn approved_messages_tell_the_rows_as_they_are_and_stale_ones_end_as_stale() {
    let watch =
        format!("{}\nexpires_at = \"window_end\"", at_once("{ transaction = 3, minute = 0 }"));
    let mut world = World::with(&watch).await;
    world
        .sql("insert into delivery select i, 1, 'planned', now(), now() + interval '2 days', 'start' from generate_series(101, 104) i;
              delete from rowbell.change")
        .await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    world
        .sql(
            "update delivery set address = 'corrected' where id = 101;
              update delivery set window_end = now() - interval '1 hour' where id = 102;
              update delivery set address = 'start' where id = 103",
        )
        .await;
    world.settle().await;
    let hold = holds::list(&world.db, &HoldSelection::default()).await.unwrap().remove(0);
    assert_eq!((hold.messages, hold.watch.as_str()), (4, "home_delivery"));
    let now = world.now();
    assert_eq!(holds::approve(&mut world.db, &hold, 100, now).await.unwrap(), 4);
    world.work().await;
    assert_eq!(
        world.messages().await,
        [
            "101 sent 2 change(s) 1 attempt(s)",
            "102 skipped stale 2 change(s) 0 attempt(s)",
            "103 skipped no_net_change 2 change(s) 0 attempt(s)",
            "104 sent 1 change(s) 1 attempt(s)"
        ]
    );
    let read = world.read(MARIA);
    assert!(read.iter().any(|text| text.contains("start → corrected")), "{read:?}");
}

#[tokio::test]
async fn discarded_messages_are_told_with_the_next_change_unless_they_count_as_told() {
    for (reason, expected) in
        [(Skip::Discarded, "1 Main Street → third"), (Skip::Muted, "second → third")]
    {
        let mut world = World::with(&at_once("{ transaction = 1, minute = 0 }")).await;
        world.sql("update delivery set address = 'second'").await;
        world.settle().await;
        let hold = holds::list(&world.db, &HoldSelection::default()).await.unwrap().remove(0);
        let now = world.now();
        let ended =
            holds::discard(&mut world.db, &hold, 9, reason, "by a test", now).await.unwrap();
        assert_eq!(ended, 2);
        world.sql("update delivery set address = 'third' where id = 1").await;
        world.settle().await;
        let read = world.read(MARIA);
        assert!(read.len() == 1 && read[0].contains(expected), "{reason:?}: {read:?}");
    }
}

/// Must show 2, with the real daemon and the commands that a person would type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_rows_of_one_update_send_nothing_until_a_person_says_so() {
    let options = TestbedOptions {
        cluster: ClusterOptions {
            cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
            ..ClusterOptions::default()
        },
        customers: 100,
        deliveries: 100_000,
        rate: "10000/s".to_owned(),
        quiet_period: "0s".to_owned(),
        webhook: false,
        edits: vec![
            ("transaction = 0", "transaction = 500"),
            ("[webhook]", "[delivery]\nbatch = 2000\n[webhook]"),
        ],
        ..TestbedOptions::default()
    };
    let provider = SandboxOptions { receipts: ReceiptOptions::none(), ..SandboxOptions::default() };
    let testbed =
        Testbed::raise(Path::new(env!("CARGO_BIN_EXE_rowbell")), options, provider).await.unwrap();
    let db = testbed.connect().await.unwrap();
    db.batch_execute("update customer set whatsapp_opt_in = true").await.unwrap();
    let daemon = testbed.daemon().await.unwrap();
    let one = async |sql: &str| -> i64 { db.query_one(sql, &[]).await.unwrap().get(0) };
    let until = async |sql: &str, wanted: i64| {
        let began = Instant::now();
        while one(sql).await != wanted {
            assert!(began.elapsed() < Duration::from_secs(300), "{sql}\n{}", testbed.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };

    db.batch_execute("update delivery set address = 'bulk ' || id").await.unwrap();
    until("select coalesce(sum(entity_count), 0)::bigint from rowbell.large_transaction", 100_000)
        .await;
    assert_eq!(one("select count(*) from rowbell.message").await, 0);
    assert_eq!(one("select count(*) from rowbell.hold where message_count = 100000").await, 1);
    assert_eq!(testbed.sandbox.count(), 0);
    assert_eq!(
        testbed.log().matches("a storm: its messages are held").count(),
        1,
        "{}",
        testbed.log()
    );

    // Without a terminal and without --yes nothing happens.
    let refused = testbed.command(&["approve", "--limit", "10"]).unwrap_err().to_string();
    assert!(
        refused.contains("nothing was changed; to go on without a question, add --yes"),
        "{refused}"
    );
    let shown = testbed.command(&["held"]).unwrap();
    assert!(
        shown.contains(
            "100000 messages wait for a person: one transaction changed more than 500 rows"
        ),
        "{shown}"
    );
    assert!(shown.contains("1: would say: Address: 11 Garden Street → bulk 1."), "{shown}");

    let said = testbed.command(&["approve", "--limit", "10", "--yes"]).unwrap();
    assert!(said.ends_with("approved 10 messages; 99990 of hold 1 still wait\n"), "{said}");
    until("select count(*) from rowbell.message where state = 'sent'", 10).await;
    assert_eq!(testbed.sandbox.count(), 10);

    let said = testbed.command(&["discard", "--reason", "a mistake", "--yes", "--json"]).unwrap();
    assert_eq!(said, "{\"hold\":1,\"watch\":\"home_delivery\",\"discarded\":99990,\"held\":0}\n");
    // The daemon writes down what became of each of them, in turn with everything else.
    let ended =
        "select (count(*) > 1000)::integer::bigint from rowbell.message where reason = 'discarded'
                    and reason_text = 'discarded by postgres: a mistake'";
    until(ended, 1).await;
    assert_eq!(one("select count(*) from rowbell.queue").await, 0);
    assert_eq!(testbed.sandbox.count(), 10);

    let again = ["retry", "--since", "1h", "--reason", "discarded", "--limit", "2", "--yes"];
    testbed.command(&again).unwrap();
    // Who decided what is on record, as on the page: the user of the database, and who typed it.
    let acts = "select string_agg(concat_ws(' ', decided_by, way, kind, messages, reason), '; ' order by act_id)
                  from rowbell_report.person_acts where os_user is not distinct from $1";
    let user = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
    let acts: String = db.query_one(acts, &[&user]).await.unwrap().get(0);
    assert_eq!(
        acts,
        "postgres command approved 10; postgres command discarded 99990 a mistake; \
         postgres command retried 1; postgres command retried 1"
    );
    assert!(daemon.stop().await.unwrap().success());
}
