//! Nobody waits behind somebody else's bulk edit: large transactions are set aside, and each watch has its turn.

use std::time::Duration;

use rowbell::domain::message::state::Skip;
use rowbell::pipeline::context::stage::Progress;
use rowbell::postgres::operations::holds::{self, Hold, HoldSelection};

use crate::harness::{CONFIG, SECOND, SHOP, World};

/// Parcels, on a channel of their own.
const PARCELS: &str = r#"
[watch.parcel]
table        = "public.parcel"
channel      = "second"
template     = "service_change"
service      = { en = "parcel" }
columns      = ["place"]
recipient    = "select c.full_name as name, c.phone from customer c where c.id = changed.customer_id"
quiet_period = "0s"
"#;

/// The shop with parcels, and `count` more deliveries from id 101 on, each of a customer of its own; everything leaves
/// at once.
async fn shop(count: usize, storm: &str) -> World {
    shop_with_quiet_period("0s", count, storm).await
}

async fn shop_with_quiet_period(quiet: &str, count: usize, storm: &str) -> World {
    let last = 100 + count;
    let schema = format!(
        "{SHOP}
         insert into customer select i, 'Customer ' || i, '+1 212 2' || lpad(i::text, 6, '0'), 'en-US', 'UTC'
           from generate_series(101, {last}) i;
         create table parcel (id bigint primary key, customer_id bigint, place text);
         insert into parcel values (1, 1, 'depot'), (2, 1, 'depot');
         insert into delivery select i, i, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'start'
           from generate_series(101, {last}) i;"
    );
    let config = format!("{}{SECOND}{PARCELS}", CONFIG.replace("\"20s\"", &format!("\"{quiet}\"")));
    World::over(&schema, &config, storm).await
}

/// What all phones have received.
fn read(world: &World) -> Vec<String> {
    world.sandbox.all_seen().into_iter().map(|message| message.text).collect()
}

async fn hold(world: &World) -> Hold {
    holds::list(&world.db, &HoldSelection::default()).await.unwrap().remove(0)
}

async fn count(world: &World, what: &str) -> i64 {
    world.value(&format!("select count(*) from {what}")).await.parse().unwrap()
}

/// Claims until the message of an entity is there, at most three times.
async fn claims_until(world: &mut World, watch: &str, key: &str) -> usize {
    let wanted = format!("rowbell.message where watch = '{watch}' and entity_key = '{key}'");
    for claims in 1..=3 {
        world.stages.claim.step().await.unwrap();
        if count(world, &wanted).await > 0 {
            return claims;
        }
    }
    panic!("{watch} {key} still waits after three claims");
}

/// 50,000 rows of one watch in one statement kept a change of another watch waiting for a minute.
#[tokio::test]
async fn a_change_of_another_watch_does_not_wait_behind_a_bulk_edit() {
    for storm in
        ["storm = { transaction = 500, minute = 0 }", "storm = { transaction = 0, minute = 0 }"]
    {
        let mut world = shop(20_000, storm).await;
        world.sql("update delivery set address = 'bulk' where id > 100").await;
        world.sql("update parcel set place = 'door' where id = 1").await;
        // The first one meets the large transaction and sets it aside.
        assert_eq!(claims_until(&mut world, "parcel", "1").await, 2, "{storm}");
        assert!(count(&world, "rowbell.change").await > 19_000, "{storm}");
    }
}

#[tokio::test]
async fn a_small_change_of_the_same_watch_does_not_wait_behind_a_bulk_edit() {
    for storm in
        ["storm = { transaction = 500, minute = 0 }", "storm = { transaction = 0, minute = 0 }"]
    {
        let mut world = shop(5_000, storm).await;
        world.sql("update delivery set address = 'bulk' where id > 100").await;
        world.sql("update delivery set address = '2 New Street' where id = 1").await;
        assert_eq!(claims_until(&mut world, "home_delivery", "1").await, 2, "{storm}");
    }
}

/// What a hundred thousand rows cost the others, and whoever decides about them: by rounds and rows, not by time.
#[tokio::test]
async fn a_hundred_thousand_rows_cost_others_one_round_and_a_decision_one_row() {
    const ROWS: i64 = 100_000;
    let mut world = shop(ROWS as usize, "storm = { transaction = 500, minute = 0 }").await;
    world.sql("update parcel set place = 'door' where id = 2").await;
    assert_eq!(claims_until(&mut world, "parcel", "2").await, 1, "without a bulk edit");
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.sql("update parcel set place = 'door' where id = 1").await;
    // The first round meets the large transaction and sets it aside.
    assert_eq!(claims_until(&mut world, "parcel", "1").await, 2);
    assert_eq!(count(&world, "rowbell.change").await, ROWS);

    let (held, now) = (hold(&world).await, world.now());
    let half = ROWS / 2;
    let discarded = holds::discard(&mut world.db, &held, half, Skip::Discarded, "no", now);
    assert_eq!(discarded.await.unwrap(), half);
    // The decision stands in one row, and the rest waits in another; nothing else was written.
    assert_eq!(count(&world, "rowbell.large_transaction").await, 2);
    assert_eq!(count(&world, "rowbell.change").await, ROWS);
    assert_eq!(count(&world, "rowbell.message where watch = 'home_delivery'").await, 0);
    world.sql("update parcel set place = 'cellar' where id = 1").await;
    world.stages.claim.step().await.unwrap();
    let parcels = count(&world, "rowbell.message where watch = 'parcel'").await;
    assert_eq!(parcels, 3, "what is discarded takes turns with it");

    let held = hold(&world).await;
    assert_eq!(held.messages, half);
    assert_eq!(holds::approve(&mut world.db, &held, half, now).await.unwrap(), half);
    // However long the UPDATE took: the daemon has its channels.
    world.pass(Duration::ZERO);
    world.stages.claim.step().await.unwrap();
    let leaving = "rowbell.message where watch = 'home_delivery' and state = 'sending'";
    assert!(count(&world, leaving).await > 0, "they leave from the first round on");
}

/// Many small transactions of one watch are no bulk edit, and do not keep another watch waiting either.
#[tokio::test]
async fn watches_take_turns() {
    let mut world = shop(1_500, "storm = { transaction = 0, minute = 0 }").await;
    let each = "do $$ begin for i in 101..1600 loop update delivery set address = 'a' where id = i; commit; end loop; end $$";
    world.sql(each).await;
    world.sql("update parcel set place = 'door' where id = 1").await;
    assert_eq!(claims_until(&mut world, "parcel", "1").await, 1);
    world.settle().await;
    assert_eq!(count(&world, "rowbell.message where state = 'sent'").await, 1_501);
}

/// A bulk edit that leaves in many parts was read from its beginning to its end with each of them.
#[tokio::test]
async fn what_a_bulk_edit_changed_is_read_a_few_times_and_not_with_each_of_its_parts() {
    let mut world = shop(6_000, "storm = { transaction = 0, minute = 0 }").await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    assert_eq!(count(&world, "rowbell.message where state = 'sent'").await, 6_000);
    // A session hands its counters in when it ends.
    let others =
        "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    world.sql(&format!("select pg_terminate_backend(pid) {others}")).await;
    while world.value(&format!("select count(*) {others}")).await != "0" {}
    let read = "select sum(idx_tup_read) from pg_stat_all_indexes where schemaname = 'rowbell' and relname = 'change'";
    let read: i64 = world.value(read).await.parse().unwrap();
    assert!((6_000..60_000).contains(&read), "{read} entries were read for 6,000 changes");
}

#[tokio::test]
async fn a_bulk_edit_that_is_no_storm_leaves_whole_and_in_turn() {
    let mut world = shop(2_500, "storm = { transaction = 0, minute = 0 }").await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    assert_eq!(count(&world, "rowbell.message where state = 'sent'").await, 2_500);
    assert_eq!(count(&world, "rowbell.change").await, 0);
    assert_eq!(count(&world, "rowbell.large_transaction").await, 0);
    assert_eq!(count(&world, "rowbell.hold").await, 0);
}

#[tokio::test]
async fn an_approved_storm_leaves_from_the_first_batch_on() {
    let mut world = shop(3_000, "storm = { transaction = 500, minute = 0 }").await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    // It is one row that names the transaction.
    let held = hold(&world).await;
    assert_eq!((held.messages, held.joined, held.examples.len()), (3_000, 3_000, 3));
    assert_eq!(count(&world, "rowbell.message").await, 0);
    assert_eq!(count(&world, "rowbell.large_transaction").await, 1);

    let now = world.now();
    assert_eq!(holds::approve(&mut world.db, &held, 3_000, now).await.unwrap(), 3_000);
    assert_eq!(world.stages.claim.step().await.unwrap(), Progress::Worked);
    for deliver in &mut world.stages.delivers {
        deliver.step().await;
    }
    assert!(world.sandbox.count() > 0, "the first batch has left");
    assert!(count(&world, "rowbell.change").await > 2_000, "and the others have their turn");
    // A person's word is not asked for twice.
    world.settle().await;
    assert_eq!(count(&world, "rowbell.message where state = 'sent'").await, 3_000);
    assert_eq!(count(&world, "rowbell.hold").await, 1);
    assert_eq!(count(&world, "rowbell.large_transaction").await, 0);
}

#[tokio::test]
async fn a_storm_is_approved_and_discarded_in_parts() {
    let mut world = shop(600, "storm = { transaction = 500, minute = 0 }").await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    let (held, now) = (hold(&world).await, world.now());
    assert_eq!(holds::approve(&mut world.db, &held, 10, now).await.unwrap(), 10);
    let held = hold(&world).await;
    assert_eq!(held.messages, 590);
    let discarded = holds::discard(&mut world.db, &held, 500, Skip::Discarded, "a mistake", now);
    assert_eq!(discarded.await.unwrap(), 500);
    assert_eq!(hold(&world).await.messages, 90);
    world.settle().await;
    assert_eq!(count(&world, "rowbell.message where state = 'sent'").await, 10);
    let ended = "rowbell.message where reason = 'discarded' and reason_text = 'a mistake'";
    assert_eq!(count(&world, ended).await, 500);
    assert_eq!(count(&world, "rowbell.change").await, 90);
    assert_eq!(world.value("select max(entity_key::int) from rowbell.message").await, "610");
}

/// What is discarded is told with the next change of its row; what counts as told is not. Whether the daemon has
/// ended it by then makes no difference.
#[tokio::test]
async fn after_a_decision_the_next_change_tells_what_nobody_was_told() {
    for is_ended in [false, true] {
        for (reason, tells) in [(Skip::Discarded, "start → third"), (Skip::Muted, "second → third")]
        {
            let mut world = shop(3, "storm = { transaction = 2, minute = 0 }").await;
            world.sql("update delivery set address = 'second' where id > 100").await;
            world.settle().await;
            let (held, now) = (hold(&world).await, world.now());
            let done = holds::discard(&mut world.db, &held, 3, reason, "by a test", now).await;
            assert_eq!(done.unwrap(), 3);
            if is_ended {
                world.settle().await;
            }
            world.sql("update delivery set address = 'third' where id = 101").await;
            world.settle().await;
            let read = read(&world);
            assert!(read.len() == 1 && read[0].contains(tells), "{is_ended} {reason:?}: {read:?}");
        }
    }
}

/// A person who has not decided yet about a bulk edit finds a later change of one of its rows in the same place, and
/// what was muted since is told to nobody.
#[tokio::test]
async fn later_changes_of_a_held_row_wait_with_it_and_what_is_muted_is_not_told() {
    let mut world = shop(3, "storm = { transaction = 2, minute = 0 }").await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    world.muted("tidy", "update delivery set status = 'packed' where id = 101").await;
    world.sql("update delivery set status = 'packed' where id = 102").await;
    world.settle().await;
    assert_eq!(hold(&world).await.messages, 3);
    assert_eq!(world.sandbox.count(), 0);
    let (held, now) = (hold(&world).await, world.now());
    holds::approve(&mut world.db, &held, 9, now).await.unwrap();
    world.settle().await;
    let told = read(&world);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told.iter().filter(|text| text.contains("packed")).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|text| text.contains("bulk")).count(), 3, "{told:?}");
}

/// A message that waits would tell the row as it is, and so what the bulk edit did.
#[tokio::test]
async fn what_waits_in_the_queue_joins_the_bulk_edit_of_its_row() {
    let storm = "storm = { transaction = 2, minute = 0 }";
    let mut world = shop_with_quiet_period("1h", 3, storm).await;
    world.sql("update delivery set status = 'packed' where id in (1, 101)").await;
    world.work().await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.work().await;
    assert_eq!(
        world.messages().await,
        ["1 waiting 1 change(s) 0 attempt(s)", "101 held 1 change(s) 0 attempt(s)"]
    );
    assert_eq!(world.sandbox.count(), 0);
}

/// Two bulk edits of the same rows: whoever lets the second one leave tells the row as it is, and the first one has
/// nothing to add.
#[tokio::test]
async fn the_second_of_two_bulk_edits_tells_the_first_one_too() {
    let mut world = shop(3, "storm = { transaction = 2, minute = 0 }").await;
    world.sql("update delivery set address = 'one' where id > 100").await;
    world.sql("update delivery set status = 'packed' where id > 100").await;
    world.settle().await;
    let both = holds::list(&world.db, &HoldSelection::default()).await.unwrap();
    assert_eq!(both.iter().map(|held| held.messages).collect::<Vec<_>>(), [3, 3]);
    let now = world.now();
    holds::approve(&mut world.db, &both[1], 9, now).await.unwrap();
    world.settle().await;
    let read = read(&world);
    assert_eq!(read.len(), 3);
    assert!(
        read.iter().all(|text| text.contains("start → one") && text.contains("packed")),
        "{read:?}"
    );
    assert!(holds::list(&world.db, &HoldSelection::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_restart_goes_on_where_the_decision_stands() {
    let mut world = shop(1_000, "storm = { transaction = 500, minute = 0 }").await;
    world.sql("update delivery set address = 'bulk' where id > 100").await;
    world.settle().await;
    world.restart().await;
    world.settle().await;
    assert_eq!((hold(&world).await.messages, world.sandbox.count()), (1_000, 0));
    let (held, now) = (hold(&world).await, world.now());
    holds::approve(&mut world.db, &held, 1_000, now).await.unwrap();
    world.stages.claim.step().await.unwrap();
    for deliver in &mut world.stages.delivers {
        deliver.step().await;
    }
    world.stages.settle.step().await.unwrap();
    world.restart().await;
    world.settle().await;
    assert_eq!(count(&world, "rowbell.message where state = 'sent'").await, 1_000);
}
