//! What one transaction does to a row is one change, from its true first version to its true last one, whatever triggers
//! the business has beside ours, and wherever the row goes.

use crate::harness::{CONFIG, HEAD, JUAN, MARIA, SHOP, World};

/// mediacloud/backend PR 389, pg_repack PR 107: triggers fire in the order of their names, and `after_move` comes before
/// ours. What it does is captured before what it is about.
#[tokio::test]
async fn a_trigger_of_the_business_that_changes_the_row_again_hides_nothing() {
    let moves = "create function again() returns trigger language plpgsql as $$ begin
                     update delivery set status = 'rescheduled' where id = new.id; return null; end $$;
                 create trigger after_move after update on delivery for each row
                 when (old.window_start is distinct from new.window_start) execute function again();";
    let mut world = World::new().await;
    world.sql(moves).await;
    world
        .sql("update delivery set window_start = window_start + interval '2 hours' where id = 1")
        .await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1, "{read:?}");
    assert!(read[0].contains("status: planned → rescheduled"), "{read:?}");
    assert!(read[0].contains("10:00"), "the window too: {read:?}");
    assert_eq!(world.messages().await, ["1 sent 2 change(s) 1 attempt(s)"]);
}

/// A text that is made tidy, a row that is completed when it is inserted, one that is gone at once, and a detour by
/// another table: each is told as one change from what was before to what is after.
#[tokio::test]
async fn whatever_a_trigger_makes_of_a_row_the_whole_change_is_told() {
    let mut world = World::new().await;
    world
        .sql(
            "create function tidy() returns trigger language plpgsql as $$ begin
                 update delivery set address = upper(new.address) where id = new.id and address <> upper(new.address);
                 return null; end $$;
             create trigger normalize after update on delivery for each row execute function tidy();
             update delivery set address = '77 far rd' where id = 1",
        )
        .await;
    world.settle().await;
    assert!(
        world.read(MARIA)[0].contains("address: 1 Main Street → 77 FAR RD."),
        "{:?}",
        world.read(MARIA)
    );
    world
        .sql(
            "drop trigger normalize on delivery;
             create function confirm() returns trigger language plpgsql as $$ begin
                 update delivery set status = 'confirmed' where id = new.id; return null; end $$;
             create trigger confirm after insert on delivery for each row execute function confirm();
             insert into delivery values (3, 1, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', '3 Third Street')",
        )
        .await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 2, "{read:?}");
    assert!(read[1].contains("3 Third Street") && read[1].contains("confirmed"), "{read:?}");
    world
        .sql(
            "drop trigger confirm on delivery;
             create function close() returns trigger language plpgsql as $$ begin
                 delete from delivery where id = new.id; return null; end $$;
             create trigger close after update on delivery for each row when (new.status = 'closed')
             execute function close();
             update delivery set status = 'closed' where id = 3",
        )
        .await;
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read[2].contains("It has been cancelled."), "{read:?}");
    world
        .sql(
            "create table tour (id bigint primary key, late boolean);
             insert into tour values (1, false);
             create function call_tour() returns trigger language plpgsql as $$ begin
                 update tour set late = true where id = 1; return null; end $$;
             create function call_stops() returns trigger language plpgsql as $$ begin
                 update delivery set status = 'told by the driver' where id = 1; return null; end $$;
             create trigger a after update on delivery for each row when (new.status = 'late') execute function call_tour();
             create trigger b after update on tour for each row execute function call_stops();
             update delivery set status = 'late', address = '5 Fifth Street' where id = 1",
        )
        .await;
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read[3].contains("77 FAR RD → 5 Fifth Street"), "{read:?}");
    assert!(read[3].contains("planned → told by the driver"), "{read:?}");
}

/// Where a claim takes few changes at once, it does not part what belongs together.
#[tokio::test]
async fn a_claim_does_not_part_the_changes_of_one_row() {
    let config = CONFIG.replace("{settings}", "batch = 1\n");
    let mut world = World::over(SHOP, &config, "").await;
    world
        .sql(
            "create function again() returns trigger language plpgsql as $$ begin
                 update delivery set status = 'moved' where id = new.id; return null; end $$;
             create trigger after_move after update on delivery for each row when (old.address <> new.address)
             execute function again();
             update delivery set address = address || '!'",
        )
        .await;
    world.settle().await;
    for phone in [MARIA, JUAN] {
        let read = world.read(phone);
        assert_eq!(read.len(), 1, "{read:?}");
        assert!(read[0].contains("planned → moved") && read[0].contains("!"), "{read:?}");
    }
}

/// A transaction that leaves a row as it found it tells nobody anything.
#[tokio::test]
async fn what_a_transaction_takes_back_is_no_change() {
    let mut world = World::new().await;
    world
        .sql(
            "begin; update delivery set address = 'elsewhere'; update delivery set address = '1 Main Street' where id = 1;
             commit",
        )
        .await;
    world.settle().await;
    assert_eq!(world.messages().await, ["2 sent 1 change(s) 1 attempt(s)"]);
}

/// Two rows swap their numbers: each customer reads of their own delivery, and what waited for them goes along.
#[tokio::test]
async fn rows_that_swap_their_keys_take_their_stories_along() {
    let mut world = World::new().await;
    world
        .sql(
            "alter table delivery drop constraint delivery_pkey; alter table delivery add primary key (id) deferrable;
             update delivery set address = address || ' b'",
        )
        .await;
    world.work().await;
    world.sql("update delivery set id = 3 - id, status = 'swapped'").await;
    world.settle().await;
    let read = (world.read(MARIA), world.read(JUAN));
    assert_eq!((read.0.len(), read.1.len()), (1, 1), "{read:?} {:?}", world.messages().await);
    assert!(read.0[0].contains("1 Main Street → 1 Main Street b"), "{read:?}");
    assert!(read.0[0].contains("planned → swapped"), "{read:?}");
    assert!(read.1[0].contains("Calle Mayor 1 → Calle Mayor 1 b"), "{read:?}");
    let keys = "select string_agg(entity_key || (new_row ->> 'address'), ', ' order by entity_key) from rowbell.message";
    assert_eq!(world.value(keys).await, "1Calle Mayor 1 b, 21 Main Street b");
}

const PARTITIONED: &str = "
    create table customer (id bigint primary key, full_name text, phone text);
    insert into customer values (1, 'Maria', '+1 212 200 0001');
    create table delivery (id bigint, status text, day date, customer_id bigint default 1, PRIMARY)
        partition by PARTS
    insert into delivery values (1, 'planned', 'YEAR-06-25');";

const BY_STATUS: &str = "list (status);
    create table planned partition of delivery for values in ('planned');
    create table others partition of delivery default;";

const BY_DAY: &str = "range (day);
    create table june partition of delivery for values from ('YEAR-06-01') to ('YEAR-07-01') partition by list (status);
    create table june_planned partition of june for values in ('planned');
    create table june_others partition of june default;
    create table july partition of delivery for values from ('YEAR-07-01') to ('YEAR-08-01');";

fn partitioned(primary: &str, parts: &str) -> String {
    PARTITIONED.replace("PRIMARY", primary).replace("PARTS", parts)
}

fn watch(lines: &str) -> String {
    HEAD.to_owned()
        + r#"body = ["{{ recipient.name }}", "delivery", "{{ summary }}"]
[watch.home_delivery]
table = "delivery"
channel = "main"
template = "service_change"
columns = ["status", "day"]
recipient = "select full_name as name, phone from customer where id = changed.customer_id"
quiet_period = "0s"
"# + lines
}

/// mediacloud/backend #514, pagila: for PostgreSQL, a row that moves to another partition is deleted and inserted.
#[tokio::test]
async fn a_row_that_moves_to_another_partition_is_told_as_one_change() {
    let moves = [
        ("primary key (id, status)", BY_STATUS, "on = [\"update\"]"),
        ("primary key (id, status)", BY_STATUS, "on = [\"insert\", \"update\", \"delete\"]"),
        ("primary key (id, status)", BY_STATUS, "on = [\"update\", \"delete\"]"),
        ("primary key (id, status)", BY_STATUS, "on = [\"update\"]\nkey = [\"id\"]"),
        ("primary key (id, day, status)", BY_DAY, "on = [\"update\"]"),
    ];
    for (primary, parts, lines) in moves {
        let lines = if lines.contains("key") { format!("{lines}\n") } else { lines.to_owned() };
        let schema = partitioned(primary, parts);
        let schema = if lines.contains("key =") {
            schema.replace("id bigint, status", "id bigint not null, status")
        } else {
            schema
        };
        let mut world = World::over(&schema, &watch(&lines), "").await;
        world.sql("update delivery set status = 'packed', day = 'YEAR-06-26' where id = 1").await;
        world.settle().await;
        let read = world.read(MARIA);
        assert_eq!(read.len(), 1, "{lines}: {read:?} {:?}", world.messages().await);
        assert!(read[0].contains("planned → packed"), "{lines}: {read:?}");
        world.sql("update delivery set status = 'planned', day = 'YEAR-06-27' where id = 1").await;
        world.settle().await;
        let read = world.read(MARIA);
        assert_eq!(read.len(), 2, "{lines}: {read:?} {:?}", world.messages().await);
        assert!(read[1].contains("packed → planned"), "{lines}: {read:?}");
    }
}

/// Old rows are deleted from a partitioned table, as nobody watches: that is no storm.
#[tokio::test]
async fn deletes_that_are_not_watched_are_no_storm() {
    let schema = partitioned("primary key (id, status)", BY_STATUS)
        + "insert into delivery select n, 'planned', 'YEAR-06-25' from generate_series(2, 60) n;";
    let settings = "on = [\"update\"]\n[storm]\ntransaction = 10\n[delivery]\nbatch = 5\n";
    let mut world = World::over(&schema, &watch(settings), "").await;
    world.sql("begin; delete from delivery where id > 1; update delivery set day = 'YEAR-06-26'; commit").await;
    world.settle().await;
    assert_eq!(world.messages().await, ["1,planned sent 1 change(s) 1 attempt(s)"]);
    assert_eq!(world.value("select count(*) from rowbell.hold").await, "0");
}

/// Capturing for the sake of rows that move tells nobody what nobody asked for, and costs no row where none moves.
#[tokio::test]
async fn inserts_and_deletes_that_are_not_watched_stay_unsaid() {
    let schema = partitioned("primary key (id, status)", BY_STATUS);
    let mut world = World::over(&schema, &watch("on = [\"update\"]"), "").await;
    world
        .sql(
            "insert into delivery select n, 'planned', 'YEAR-06-25' from generate_series(2, 100) n",
        )
        .await;
    assert_eq!(world.value("select count(*) from rowbell.change").await, "0");
    world.sql("begin; delete from delivery where id = 2; insert into delivery values (200, 'planned'); commit").await;
    world.settle().await;
    assert_eq!(world.messages().await, Vec::<String>::new());
    assert_eq!(world.value("select count(*) from rowbell.change").await, "0");
    // A row that is deleted and inserted again in one transaction has changed.
    world.sql("begin; delete from delivery where id = 3; insert into delivery values (3, 'late', 'YEAR-06-25'); commit").await;
    world.settle().await;
    assert!(world.read(MARIA)[0].contains("planned → late"), "{:?}", world.read(MARIA));
}
