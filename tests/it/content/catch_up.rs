//! Catching up after a gap: what was never captured is told to those who do not know it, and to nobody else.

use rowbell::clock::Clock;
use rowbell::operations::catch_up::{self, CatchUp, CatchUpScope};
use rowbell::pipeline::context::stage::Stage as _;
use rowbell::postgres::operations::holds::{self, HoldSelection};
use rowbell::postgres::operations::status_report;

use crate::harness::{CONFIG, JUAN, MARIA, SHOP, World};

/// The shop, after Maria and Juan have each been told of a delivery.
async fn told() -> World {
    let mut world = World::with("storm = { transaction = 0, minute = 0 }").await;
    world.sql("update delivery set status = 'packed'").await;
    world.settle().await;
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (1, 1));
    world
}

/// What the business does while nothing is captured, as after a restore or a load of a replica.
async fn unseen(world: &World, sql: &str) {
    let sql = format!(
        "alter table delivery disable trigger user; {sql}; alter table delivery enable trigger user"
    );
    world.sql(&sql).await;
}

async fn look(world: &World, scope: &CatchUpScope) -> CatchUp {
    let mut client = world.stages.context.pool.get().await.unwrap();
    let clock: &Clock = &world.clock;
    catch_up::look(&mut client, &world.config, clock, "home_delivery", scope).await.unwrap()
}

fn keys(found: &CatchUp) -> Vec<&str> {
    found.missed.iter().map(|missed| missed.entity_key.as_str()).collect()
}

/// Holds what was found, looks that nothing leaves by itself, and lets it go.
async fn catch_up_with(world: &mut World, found: &CatchUp) {
    let now = world.now();
    let mut client = world.stages.context.pool.get().await.unwrap();
    let before = world.sandbox.count();
    let hold_id = catch_up::hold(&mut client, "home_delivery", found, now).await.unwrap();
    world.settle().await;
    assert_eq!(world.sandbox.count(), before, "nothing leaves until a person says so");
    let wanted = HoldSelection { hold_id: Some(hold_id), watch: None };
    let hold = holds::list(&world.db, &wanted).await.unwrap().remove(0);
    assert_eq!(hold.messages, found.missed.len() as i64);
    holds::approve(&mut world.db, &hold, hold.messages, now).await.unwrap();
    world.settle().await;
}

#[tokio::test]
async fn who_does_not_know_the_row_is_told_and_who_does_is_not() {
    let mut world = told().await;
    unseen(&world, "update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 1, "nobody has seen it");

    let found = look(&world, &CatchUpScope::default()).await;
    assert_eq!((keys(&found), found.compared), (vec!["1"], 2));
    catch_up_with(&mut world, &found).await;
    let read = world.read(MARIA);
    assert!(read.len() == 2 && read[1].contains("1 Main Street → 2 New Street"), "{read:?}");
    assert_eq!(world.read(JUAN).len(), 1);
    // There is nothing left to tell.
    assert!(look(&world, &CatchUpScope::default()).await.missed.is_empty());
}

/// The one before reads that it is no longer theirs, the new one the whole row, and nobody a value of the other's.
#[tokio::test]
async fn rows_that_went_over_or_are_gone_are_told_too() {
    let mut world = told().await;
    unseen(
        &world,
        "update delivery set customer_id = 2, address = '9 Ninth Avenue' where id = 1;
         delete from delivery where id = 2",
    )
    .await;
    let found = look(&world, &CatchUpScope::default()).await;
    assert_eq!(keys(&found), ["1", "2"]);
    catch_up_with(&mut world, &found).await;
    let (maria, juan) = (world.read(MARIA), world.read(JUAN));
    assert_eq!((maria.len(), juan.len()), (2, 3), "{maria:?} {juan:?}");
    assert!(!maria.iter().any(|text| text.contains("Ninth")), "{maria:?}");
    assert!(!juan.iter().any(|text| text.contains("Main")), "{juan:?}");
    assert!(juan.iter().any(|text| text.contains("9 Ninth Avenue")), "{juan:?}");
}

/// No trigger fires for them.
#[tokio::test]
async fn rows_that_went_by_truncate_are_told_too() {
    let mut world = told().await;
    world.sql("truncate delivery").await;
    world.settle().await;
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (1, 1), "nobody has seen it");
    let found = look(&world, &CatchUpScope::default()).await;
    assert_eq!(keys(&found), ["1", "2"]);
    catch_up_with(&mut world, &found).await;
    let (maria, juan) = (world.read(MARIA), world.read(JUAN));
    assert_eq!((maria.len(), juan.len()), (2, 2), "{maria:?} {juan:?}");
    assert!(maria[1].contains("cancelled"), "{maria:?}");
}

/// Handed over, and then deleted unseen: that the one before was told that it is not theirs any more, last of all, does
/// not keep the new one from hearing that it is gone.
#[tokio::test]
async fn a_row_that_was_handed_over_and_is_gone_unseen_is_told_to_the_new_one() {
    let mut world = told().await;
    world.sql("update delivery set customer_id = 2 where id = 1").await;
    world.settle().await;
    unseen(&world, "delete from delivery where id = 1").await;
    let found = look(&world, &CatchUpScope::default()).await;
    assert_eq!(keys(&found), ["1"]);
    let before = (world.read(MARIA).len(), world.read(JUAN).len());
    catch_up_with(&mut world, &found).await;
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (before.0, before.1 + 1));
}

#[tokio::test]
async fn only_what_is_asked_for_is_compared() {
    let world = told().await;
    unseen(&world, "update delivery set address = 'elsewhere'").await;
    let of_juan = CatchUpScope {
        condition: Some("customer_id = 2 and changed.status = 'packed'".to_owned()),
        since: None,
    };
    assert_eq!(keys(&look(&world, &of_juan).await), ["2"]);
    let later = CatchUpScope { since: Some(world.now()), condition: None };
    assert_eq!(look(&world, &later).await.compared, 0);
    let earlier = CatchUpScope {
        since: Some(world.now() - std::time::Duration::from_secs(600)),
        condition: None,
    };
    assert_eq!(keys(&look(&world, &earlier).await), ["1", "2"]);
}

/// Rows that came while nothing was captured are told as new, where the watch tells that rows are new.
#[tokio::test]
async fn rows_that_came_unseen_are_told_as_new() {
    let new = "insert into delivery
               select i, 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', i || ' Third Street' from generate_series(7, 9) i";
    let mut world = told().await;
    unseen(&world, new).await;
    // A row that came and went is nowhere; of one that is captured already a message tells.
    unseen(&world, "delete from delivery where id = 9").await;
    world.sql("update delivery set status = 'packed' where id = 8").await;
    world.settle().await;
    let found = look(&world, &CatchUpScope::default()).await;
    assert_eq!((keys(&found), found.untold, found.compared), (vec!["7"], 1, 4));
    catch_up_with(&mut world, &found).await;
    let read = world.read(JUAN);
    assert!(read.iter().any(|text| text.contains("7 Third Street")), "{read:?}");
    assert!(look(&world, &CatchUpScope::default()).await.missed.is_empty());

    let text = CONFIG.replace("\"insert\", ", "").replace("{settings}", "");
    let world = World::over(SHOP, &text, "").await;
    unseen(&world, new).await;
    let found = look(&world, &CatchUpScope::default()).await;
    assert_eq!((found.untold, found.leaves_untold, found.compared), (0, false, 0));
}

/// Nobody knows since when a row is there of which nobody was told: a condition says which of them are meant.
#[tokio::test]
async fn among_rows_that_nobody_was_told_of_a_condition_chooses() {
    let world = World::new().await;
    let found = look(&world, &CatchUpScope::default()).await;
    assert_eq!((keys(&found), found.untold), (vec!["1", "2"], 2), "they were there before");
    let of_juan = CatchUpScope { condition: Some("customer_id = 2;".to_owned()), since: None };
    assert_eq!(keys(&look(&world, &of_juan).await), ["2"]);
    let since = CatchUpScope { since: Some(world.now()), condition: None };
    let found = look(&world, &since).await;
    assert_eq!((found.untold, found.leaves_untold, found.compared), (0, true, 0));
}

/// A row that came and went before anybody was told of it, and came back unseen.
#[tokio::test]
async fn a_row_that_came_back_unseen_is_told_as_new() {
    let mut world = told().await;
    let new = "insert into delivery values (7, 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', '7 Third Street')";
    world.sql("insert into rowbell.pause (kind, name) values ('channel', 'main')").await;
    world.sql(new).await;
    world.work().await;
    world.sql("delete from delivery where id = 7; delete from rowbell.pause").await;
    world.settle().await;
    let ended = "select string_agg(state || ' ' || reason, ', ') from rowbell.message where entity_key = '7'";
    assert_eq!(world.value(ended).await, "skipped no_net_change");
    let told = "select count(*) from rowbell.last_told where entity_key = '7' and row is not null";
    assert_eq!(world.value(told).await, "0");
    unseen(&world, new).await;
    let found = look(&world, &CatchUpScope::default()).await;
    assert_eq!((keys(&found), found.untold), (vec!["7"], 1));
    catch_up_with(&mut world, &found).await;
    assert!(world.read(JUAN).iter().any(|text| text.contains("7 Third Street")));
}

/// A row that is gone is chosen by what was told of it last.
#[tokio::test]
async fn a_condition_finds_rows_that_are_gone() {
    let world = told().await;
    unseen(&world, "delete from delivery").await;
    let of_juan = CatchUpScope { condition: Some("customer_id = 2".to_owned()), since: None };
    let found = look(&world, &of_juan).await;
    assert_eq!((keys(&found), found.compared), (vec!["2"], 1));
}

/// What waits already tells the row as it is.
#[tokio::test]
async fn what_waits_to_leave_is_not_told_twice() {
    let mut world = told().await;
    unseen(&world, "update delivery set address = 'elsewhere' where id = 1").await;
    world.sql("update delivery set status = 'on its way' where id = 1").await;
    world.work().await;
    assert!(look(&world, &CatchUpScope::default()).await.missed.is_empty());
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read.len() == 2 && read[1].contains("elsewhere"), "{read:?}");
}

/// Whatever is seen and unseen, in whatever order: after catching up there is nothing that anybody believes and that is
/// not so.
#[tokio::test]
async fn after_gaps_at_random_everybody_knows_the_rows_as_they_are() {
    let mut world = told().await;
    let mut seed = 20_261_201_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for step in 0..36 {
        let id = 1 + random(4);
        let sql = match random(6) {
            0 => format!("update delivery set address = 'street {}' where id = {id}", random(3)),
            1 => format!("update delivery set status = 'status {}' where id = {id}", random(3)),
            2 => format!("update delivery set customer_id = 3 - customer_id where id = {id}"),
            3 => format!("delete from delivery where id = {id}"),
            4 => format!(
                "insert into delivery values ({id}, 1, 'new', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'street 0') on conflict do nothing"
            ),
            _ => format!("update delivery set note = 'nobody is told {step}' where id = {id}"),
        };
        match random(2) {
            0 => world.sql(&sql).await,
            _ => unseen(&world, &sql).await,
        }
        if random(3) == 0 {
            world.settle().await;
        }
        if random(6) == 0 {
            world.settle().await;
            let found = look(&world, &CatchUpScope::default()).await;
            if !found.missed.is_empty() {
                catch_up_with(&mut world, &found).await;
            }
        }
    }
    world.settle().await;
    let found = look(&world, &CatchUpScope::default()).await;
    if !found.missed.is_empty() {
        catch_up_with(&mut world, &found).await;
    }
    assert!(look(&world, &CatchUpScope::default()).await.missed.is_empty());
    // What stands in the ledger of those whose row it is, is the row.
    let wrong = "select count(*) from delivery d join customer c on c.id = d.customer_id
                  where not exists (
                      select from (select distinct on (t.recipient_key) t.recipient_key, t.row
                                     from rowbell.last_told t
                                    where t.entity_key = d.id::text and t.recipient_key <> ''
                                    order by t.recipient_key, t.told_at desc, t.message_id desc) as t
                       where t.row ->> 'address' = d.address and t.row ->> 'status' = d.status
                         and (t.row ->> 'customer_id')::bigint = d.customer_id)";
    assert_eq!(world.value(wrong).await, "0");
    // Nobody believes that a row is there that is gone.
    let wrong = "select count(*) from (
                     select distinct on (t.entity_key, t.recipient_key) t.entity_key, t.row
                       from rowbell.last_told t where t.recipient_key <> ''
                      order by t.entity_key, t.recipient_key, t.told_at desc, t.message_id desc) as t
                  where t.row is not null and not exists (select from delivery d where d.id::text = t.entity_key)";
    assert_eq!(world.value(wrong).await, "0");
}

async fn sweep(world: &mut World) {
    world.pass(std::time::Duration::from_secs(61));
    world.stages.sweep.step().await.unwrap();
}

async fn said(world: &World) -> Vec<String> {
    let status = status_report::status(&world.db, &world.config, world.now()).await.unwrap();
    let watch = status.watches.into_iter().find(|watch| watch.watch == "home_delivery");
    watch.unwrap().faults
}

/// Whoever looks at the status afterwards reads that there was a gap, until somebody has caught up.
#[tokio::test]
async fn a_gap_is_said_until_somebody_has_caught_up() {
    let mut world = told().await;
    sweep(&mut world).await;
    assert!(said(&world).await.is_empty());
    world.sql("alter table delivery disable trigger user").await;
    sweep(&mut world).await;
    sweep(&mut world).await;
    let faults = said(&world).await;
    assert!(faults.len() == 1 && faults[0].contains("nothing is captured since"), "{faults:?}");
    world.sql("alter table delivery enable trigger user").await;
    sweep(&mut world).await;
    let faults = said(&world).await;
    assert!(
        faults.len() == 1 && faults[0].contains("rowbell catch-up home_delivery"),
        "{faults:?}"
    );
    let client = world.stages.context.pool.get().await.unwrap();
    catch_up::done(&client, "home_delivery", world.now()).await.unwrap();
    assert!(said(&world).await.is_empty());
}

/// A full disk failed 360 of 360 updates of the business. With on_full = "drop" they go through, what was dropped is
/// counted, and the status asks for a catch-up.
#[tokio::test]
async fn without_room_for_changes_the_business_goes_on_if_it_says_so() {
    for (on_full, goes_through) in [("fail", false), ("drop", true)] {
        let settings =
            format!("[capture]\non_full = \"{on_full}\"\n[storm]\ntransaction = 0\nminute = 0\n");
        let mut world = World::with_settings(&settings).await;
        sweep(&mut world).await;
        // What the server says when it cannot make a file longer.
        world
            .sql(
                "create function no_room() returns trigger language plpgsql as
                     $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$;
                 create trigger no_room before insert on rowbell.change for each row execute function no_room()",
            )
            .await;
        let updated = world.db.execute("update delivery set address = 'elsewhere'", &[]).await;
        assert_eq!(updated.is_ok(), goes_through, "{on_full}");
        let counted = if goes_through { "2" } else { "null" };
        assert_eq!(world.value("select pg_sequence_last_value('rowbell.dropped')").await, counted);
        sweep(&mut world).await;
        let faults = said(&world).await;
        assert_eq!(
            faults.iter().any(|fault| fault.contains("dropped")),
            goes_through,
            "{faults:?}"
        );
    }
}
