//! Triggers are where the configuration says, and nowhere else.

use std::sync::Arc;

use rowbell::config::Config;
use rowbell::operations::check;
use rowbell::postgres::capture::install;

use crate::harness::{self, CONFIG, JUAN, MARIA, SHOP, World};

/// Another configuration, `rowbell watch`, and the daemon starts with it.
async fn reconfigured(world: &mut World, change: impl FnOnce(&mut Config)) {
    let mut config = (*world.config).clone();
    change(&mut config);
    world.config = Arc::new(config);
    harness::install(&mut world.db, &world.config.clone()).await;
    world.restart().await;
}

async fn problems(world: &World) -> String {
    let mut client = world.stages.context.pool.get().await.unwrap();
    check::online(&mut client, &world.config).await.problems().join("\n")
}

async fn triggers(world: &World) -> String {
    let tables = "select string_agg(distinct tgrelid::regclass::text, ' ')
                    from pg_trigger where tgname like 'rowbell_capture%' and tgparentid = 0";
    world.value(tables).await
}

/// Tables of two years, each with a row 1.
const YEARS: &str = "alter table delivery rename to delivery_2025; create table delivery (like delivery_2025 including all);
                     insert into delivery values (1, 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'New Street')";

/// hasura #9120, #6762: a watch moves to another table, and its old trigger went on recording.
#[tokio::test]
async fn a_watch_that_moves_to_another_table_takes_its_trigger_along() {
    let mut world = World::new().await;
    world.sql("create table shipment (like delivery including all); insert into shipment values (1, 2, 'planned')").await;
    world.sql("update delivery set status = 'waits from before' where id = 1").await;
    let moved = |config: &mut Config| {
        config.watch.get_mut("home_delivery").unwrap().table = "shipment".to_owned();
    };
    reconfigured(&mut world, moved).await;
    assert_eq!(triggers(&world).await, "shipment");
    world.sql("update delivery set status = 'done' where id = 1").await;
    world.settle().await;
    assert_eq!(world.messages().await, Vec::<String>::new());
    assert_eq!(world.value("select count(*) from rowbell.change").await, "0");
    world.sql("update shipment set status = 'packed' where id = 1").await;
    world.settle().await;
    assert!(world.read(JUAN)[0].contains("planned → packed"), "{:?}", world.read(JUAN));
    assert_eq!(problems(&world).await, "");
}

/// A table is renamed and another one takes its place and its name: its trigger goes with the old one.
#[tokio::test]
async fn a_change_of_another_table_is_told_to_nobody() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'Side Street' where id = 1").await;
    world.settle().await;
    world.sql(YEARS).await;
    world.sql("update delivery_2025 set address = 'Old Street' where id = 1; delete from delivery_2025 where id = 2").await;
    world.settle().await;
    assert_eq!((world.read(MARIA).len(), world.read(JUAN).len()), (1, 0));
    let said = problems(&world).await;
    assert!(said.contains("public.delivery has no trigger"), "{said}");
    assert!(said.contains("also has a trigger on public.delivery_2025"), "{said}");
    reconfigured(&mut world, |_| {}).await;
    assert_eq!(triggers(&world).await, "delivery");
    world.sql("update delivery set address = 'Newer Street' where id = 1").await;
    world.settle().await;
    assert!(world.read(JUAN)[0].contains("Newer Street"), "{:?}", world.read(JUAN));
    assert_eq!(problems(&world).await, "");
}

/// One partition was watched, now the whole table is.
#[tokio::test]
async fn a_watch_moves_from_a_partition_to_its_table() {
    let schema = format!(
        "{SHOP} alter table delivery rename to delivery_east;
         create table delivery (like delivery_east, region text not null default 'east') partition by list (region);
         alter table delivery_east add column region text not null default 'east';
         alter table delivery attach partition delivery_east for values in ('east');
         create table delivery_west partition of delivery for values in ('west');"
    );
    let config = CONFIG.replace("public.delivery\"", "public.delivery_east\"\nkey = [\"id\"]");
    let mut world = World::over(&schema, &config, "").await;
    let whole = |config: &mut Config| {
        config.watch.get_mut("home_delivery").unwrap().table = "delivery".to_owned();
    };
    reconfigured(&mut world, whole).await;
    assert_eq!(triggers(&world).await, "delivery");
    world.sql("update delivery set address = 'Side Street' where id = 1").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 1);
}

/// django-pgtrigger #12: names that PostgreSQL would cut to one.
#[tokio::test]
async fn watches_with_long_names_have_triggers_of_their_own() {
    let name = |end: &str| format!("deliveries_of_the_whole_country_that_are_brought_by_the_{end}");
    let start = CONFIG.find("[watch.").unwrap();
    let section = |end: &str, column: &str| {
        CONFIG[start..]
            .replace("home_delivery", &name(end))
            .replace(
                r#"["window_start", "window_end", "address", "status"]"#,
                &format!("[\"{column}\"]"),
            )
            .replace("{watch}", "")
            .split("[[watch.")
            .next()
            .unwrap()
            .to_owned()
    };
    let config =
        CONFIG[..start].to_owned() + &section("north", "address") + &section("south", "status");
    let mut world = World::over(SHOP, &config, "").await;
    assert_eq!(problems(&world).await, "");
    world.sql("update delivery set address = 'Side Street' where id = 1; update delivery set status = 'late' where id = 2").await;
    world.settle().await;
    let watches = "select string_agg(right(watch, 5) || ' ' || entity_key, ', ' order by message_id) from rowbell.message";
    assert_eq!(world.value(watches).await, "north 1, south 2");
    install::remove(&mut world.db, &name("north")).await.unwrap();
    world.sql("update delivery set address = 'a', status = 'b' where id = 1").await;
    world.settle().await;
    assert_eq!(world.value(watches).await, "north 1, south 2, south 1");
}

/// pg_partman #42, hasura #5916: rows of tables that inherit are rows of the table.
#[tokio::test]
async fn rows_of_tables_that_inherit_are_told() {
    let schema = format!(
        "{SHOP} create table delivery_north () inherits (delivery);
         create table delivery_far_north (sledge text) inherits (delivery_north);
         insert into delivery_north values (11, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'North Street');
         insert into delivery_far_north values (12, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'Far Street');"
    );
    let mut world = World::over(&schema, CONFIG, "").await;
    assert_eq!(problems(&world).await, "");
    world.sql("update delivery set status = 'late' where id in (11, 12); delete from delivery_north where id = 12").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2, "{read:?} {:?}", world.messages().await);
    assert!(read[0].contains("planned → late"), "{read:?}");
    world.sql("create table delivery_south () inherits (delivery)").await;
    let said = problems(&world).await;
    assert!(
        said.contains("delivery_south, which inherits from public.delivery, has no trigger"),
        "{said}"
    );
    reconfigured(&mut world, |_| {}).await;
    assert_eq!(problems(&world).await, "");
}

/// hasura #8814: on a subscriber, somebody lets the trigger fire for what is replicated. It stays so.
#[tokio::test]
async fn a_trigger_that_somebody_lets_fire_for_replication_goes_on_doing_so() {
    let mut world = World::new().await;
    let firing = "select string_agg(tgenabled::text, '') from pg_trigger where tgname = 'rowbell_capture_home_delivery'";
    let also_note = |config: &mut Config| {
        config.watch.get_mut("home_delivery").unwrap().columns.push("note".to_owned());
    };
    for (word, letter) in [("always", "A"), ("replica", "R")] {
        world
            .sql(&format!(
                "alter table delivery enable {word} trigger rowbell_capture_home_delivery"
            ))
            .await;
        reconfigured(&mut world, also_note).await;
        assert_eq!(world.value(firing).await, letter);
        let said = problems(&world).await;
        assert_eq!(said.contains("replicated changes only"), letter == "R", "{said}");
    }
    world.sql("alter table delivery disable trigger rowbell_capture_home_delivery").await;
    reconfigured(&mut world, |_| {}).await;
    assert_eq!(world.value(firing).await, "O");
    assert_eq!(problems(&world).await, "");
}

/// A watch leaves the configuration, and its trigger stays: that is said, and one command ends it.
#[tokio::test]
async fn a_trigger_whose_watch_is_gone_is_named_and_can_be_removed_with_its_changes() {
    let mut world = World::new().await;
    world.sql("update delivery set address = 'Side Street' where id = 1").await;
    let watch = world.config.watch["home_delivery"].clone();
    let renamed = |config: &mut Config| {
        config.watch.clear();
        config.watch.insert("delivery".to_owned(), watch);
    };
    reconfigured(&mut world, renamed).await;
    let said = problems(&world).await;
    assert!(said.contains("rowbell unwatch home_delivery"), "{said}");
    let print = install::removal(&world.db, "home_delivery").await.unwrap();
    assert!(
        print.contains(
            "drop trigger if exists \"rowbell_capture_home_delivery\" on public.delivery"
        ),
        "{print}"
    );
    assert_eq!(install::remove(&mut world.db, "home_delivery").await.unwrap(), ["public.delivery"]);
    assert_eq!(install::drop_changes(&world.db, "home_delivery").await.unwrap(), 1);
    assert_eq!(problems(&world).await, "");
    world.sql("update delivery set address = 'Other Street' where id = 1").await;
    assert_eq!(world.value("select string_agg(watch, ' ') from rowbell.change").await, "delivery");
}

/// Somebody mends the function by hand, or it is left from before an upgrade: the trigger looks as it should, and
/// records something else.
#[tokio::test]
async fn a_function_that_somebody_changed_is_said_and_made_anew() {
    let mut world = World::new().await;
    let changed = [
        "create or replace function rowbell.capture_home_delivery() returns trigger language plpgsql security definer
             as 'begin return null; end'",
        "alter function rowbell.capture_home_delivery() set work_mem = '1MB'",
        "alter function rowbell.capture_home_delivery() security invoker",
    ];
    for sql in changed {
        world.sql(sql).await;
        let said = problems(&world).await;
        assert!(said.contains("its function is not the one"), "{sql}: {said}");
        let config = world.config.clone();
        harness::install(&mut world.db, &config).await;
        assert_eq!(problems(&world).await, "", "{sql}");
    }
}
