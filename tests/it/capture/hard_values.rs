//! Values that are easily lost on the way: they are told as they are, or it is said why not.

use rowbell::postgres::capture::install;
use rowbell::postgres::schema::migrate;
use rowbell_lab::demo::testbed::connect;

use crate::harness::{HEAD, MARIA, World};

/// A table `thing` and its watch: columns, the key, and lines of the watch.
async fn world(columns: &str, row: &str, watch: &str) -> World {
    let schema = format!("create table thing ({columns}); insert into thing values ({row});");
    World::over(&schema, &config(watch), "").await
}

fn config(watch: &str) -> String {
    HEAD.to_owned()
        + r#"body = ["you", "thing", "{{ summary }}"]
[watch.thing]
table = "thing"
channel = "main"
template = "service_change"
recipient = "select 'you' as name, '+1 212 200 0001' as phone"
on = ["insert", "update", "delete"]
quiet_period = "0s"
"# + watch
}

/// What is told of a statement; None: nothing.
async fn told(world: &mut World, sql: &str) -> Option<String> {
    let before = world.read(MARIA).len();
    world.sql(sql).await;
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read.len() <= before + 1, "{sql}: {read:?}");
    let text = read.get(before)?;
    let start = text.find("updated. ").unwrap() + "updated. ".len();
    Some(text[start..text.rfind(" If you need").unwrap()].to_owned())
}

/// hasura #3697, trino PR 28916: numbers that no machine number holds.
#[tokio::test]
async fn numbers_are_exact_wherever_they_are_compared_shown_and_keyed() {
    let columns = "id numeric(38) primary key, tracking numeric(22), share numeric, fee numeric(20,2), data jsonb";
    let row = "12345678901234567890123456789012345678, 1234567890123456789012, 0.1234567890123456788, 1234.50,
               '{\"serial\": 12345678901234567891}'";
    let watch = r#"columns = ["tracking", "share", "fee", "data.serial"]
[[watch.thing.say]]
when = ["tracking"]
text = "Track {{ tracking }}."
[[watch.thing.say]]
becomes = { fee = 0 }
text = "It is free."
"#;
    let mut world = world(columns, row, watch).await;
    let cases = [
        ("tracking = tracking + 1", Some("Track 1234567890123456789013.")),
        ("share = 0.1234567890123456789", None),
        ("data = '{\"serial\": 12345678901234567892}'", None),
        ("fee = 0.00", Some("It is free.")),
        ("fee = 0", None),
    ];
    for (set, expected) in cases {
        let said = told(&mut world, &format!("update thing set {set}")).await;
        match expected {
            Some(expected) => assert_eq!(said.as_deref(), Some(expected), "{set}"),
            None if set == "fee = 0" => assert_eq!(said, None, "{set}"),
            None => assert!(said.is_some_and(|said| said.contains("→")), "{set}"),
        }
    }
    let key = "select string_agg(distinct entity_key, ' ') from rowbell.message";
    assert_eq!(world.value(key).await, "12345678901234567890123456789012345678");
    assert_eq!(
        told(&mut world, "delete from thing").await.as_deref(),
        Some("It has been cancelled.")
    );
}

/// materialize #5258: `character(n)` fills values with blanks, which mean nothing.
#[tokio::test]
async fn blanks_that_fill_a_value_count_nowhere() {
    let columns = "id character(5) primary key, status character(10), code char(8)";
    let watch = r#"columns = ["status", "code"]
value.code.shipped = "on its way"
[[watch.thing.say]]
becomes = { status = "cancelled" }
text = "It is off; {{ code | label }}, {{ code }}.{% if code == 'shipped' %} Soon.{% endif %}"
"#;
    let mut world = world(columns, "'a', 'planned', 'packed'", watch).await;
    assert_eq!(
        told(&mut world, "update thing set code = 'shipped'").await.as_deref(),
        Some("code: packed → on its way.")
    );
    assert_eq!(
        told(&mut world, "update thing set status = 'cancelled'").await.as_deref(),
        Some("It is off; on its way, shipped. Soon.")
    );
    assert_eq!(
        world.value("select string_agg(distinct entity_key, ' ') from rowbell.message").await,
        "a"
    );
}

/// The day ends at 24:00, which is a time for PostgreSQL.
#[tokio::test]
async fn the_end_of_the_day_is_a_time() {
    let watch = r#"columns = ["closes"]
[[watch.thing.say]]
when = ["closes"]
text = "Open until {{ closes | time }}; {{ opens | window(closes) }}."
"#;
    let columns = "id bigint primary key, opens time default '10:00', closes time";
    let mut world = world(columns, "1, default, '20:00'", watch).await;
    let said = told(&mut world, "update thing set closes = '24:00'").await.unwrap();
    assert!(said.starts_with("Open until 12:00"), "{said}");
    assert_eq!(told(&mut world, "update thing set closes = '23:59:60'").await, None);
}

/// PostgREST #2840: a domain that forbids null is about the rows that are there.
#[tokio::test]
async fn a_row_with_a_domain_that_forbids_null_is_told_when_it_goes() {
    let schema = "create domain flag as boolean not null;
                  create domain positive as integer check (value is not null and value > 0);
                  create domain more as positive;
                  create table thing (id bigint primary key, status text, is_urgent flag, pieces more);
                  insert into thing values (1, 'planned', true, 3), (2, 'planned', true, 3)";
    let mut world = World::over(schema, &config("columns = [\"status\"]\n"), "").await;
    assert_eq!(
        told(&mut world, "update thing set status = 'late' where id = 1").await.as_deref(),
        Some("status: planned → late.")
    );
    for id in [1, 2] {
        let said = told(&mut world, &format!("delete from thing where id = {id}")).await;
        assert_eq!(said.as_deref(), Some("It has been cancelled."), "{:?}", world.messages().await);
    }
}

/// MJ #3526: two rows with a null in their key are one row for us, and none for the database.
#[tokio::test]
async fn a_watch_over_what_cannot_be_captured_is_refused_with_the_way_out() {
    let world = world(
        "order_no integer not null, line integer, note text, primary key (order_no) include (note),
         pieces integer, weight integer generated always as (pieces * 3) stored, unique (order_no, line)",
        "1, null, null, 1",
        "columns = [\"note\"]\n",
    )
    .await;
    let mut watch = world.config.watch["thing"].clone();
    let template = world.config.template["service_change"].clone();
    let table = install::describe(&world.db, "thing", &watch, &template).await.unwrap();
    assert_eq!(table.key, ["order_no"], "what an index merely includes identifies nothing");
    watch.key = vec!["order_no".to_owned(), "line".to_owned()];
    let refused =
        install::describe(&world.db, "thing", &watch, &template).await.unwrap_err().to_string();
    assert!(refused.contains("watch.thing.key: public.thing.line may be null"), "{refused}");
    // As PostgreSQL 18 has it.
    world.sql("update pg_attribute set attgenerated = 'v' where attname = 'weight' and attrelid = 'thing'::regclass").await;
    watch.key = Vec::new();
    watch.columns = vec!["weight".to_owned()];
    let refused =
        install::describe(&world.db, "thing", &watch, &template).await.unwrap_err().to_string();
    assert!(refused.contains("public.thing.weight is computed when it is read"), "{refused}");
    assert!(refused.contains("(pieces * 3)"), "{refused}");
}

/// CAP #1619: a key that is too long for an index stopped every watch of the database.
#[tokio::test]
async fn a_key_of_any_length_names_its_row() {
    // A b-tree of PostgreSQL cannot hold such a key either; a hash index can.
    let columns = "id text not null, status text, exclude using hash (id with =)";
    let watch = "key = [\"id\"]\ncolumns = [\"status\"]\n";
    let mut world = world(columns, "'short', 'planned'", watch).await;
    let long = "(select string_agg(md5(n::text), ',') from generate_series(1, 40) n)";
    world
        .sql(&format!(
            "insert into thing values ({long} || repeat(md5('x'), 60), 'planned'), ({long} || repeat(md5('y'), 60), 'planned')"
        ))
        .await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 2);
    world.sql("update thing set status = 'late'").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 5, "{read:?}");
    assert!(read[2..].iter().all(|text| text.contains("planned → late")), "{read:?}");
    let keys =
        "select count(distinct entity_key) || ' ' || max(length(entity_key)) from rowbell.message";
    assert_eq!(world.value(keys).await, "3 933");
}

/// hasura #7315: a database whose encoding lacks characters would hold up everybody's messages.
#[tokio::test]
async fn a_database_that_cannot_hold_every_character_is_refused_in_one_line() {
    let world = World::new().await;
    for encoding in ["LATIN1", "WIN1252", "SQL_ASCII"] {
        world
            .sql(&format!("create database old template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'"))
            .await;
        let mut old = connect(&world.cluster.url("old")).await.unwrap();
        let refused = migrate::migrate(&mut old).await.unwrap_err().to_string();
        assert!(
            refused.contains(&format!("in {encoding}")) && refused.contains("UTF8"),
            "{refused}"
        );
        drop(old);
        world.sql("drop database old with (force)").await;
    }
}

/// Of a huge value the beginning and a digest are stored: enough to tell that it changed, and that it did not.
#[tokio::test]
async fn a_huge_value_costs_no_more_than_its_beginning() {
    let columns =
        "id bigint primary key, note text, data jsonb, bytes bytea, status text default 'planned'";
    let row = "1, repeat('x', 20000000), to_jsonb(array(select md5(n::text) from generate_series(1, 20000) n)),
               convert_to(repeat('y', 1000000), 'UTF8')";
    let watch = "columns = [\"note\", \"data\", \"bytes\", \"status\"]\n";
    let mut world = world(columns, row, watch).await;
    world.sql("update thing set status = 'packed'").await;
    let size = "select max(length(captured::text)) < 50000 from rowbell.change";
    assert_eq!(world.value(size).await, "true");
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read[0].contains("updated. status: planned → packed. If"), "{read:?}");
    for set in ["note = note || 'z'", "data = data - 1", "bytes = bytes || 'z'"] {
        assert!(told(&mut world, &format!("update thing set {set}")).await.is_some(), "{set}");
    }
    assert_eq!(
        told(&mut world, "delete from thing").await.as_deref(),
        Some("It has been cancelled.")
    );
    let stored = "select max(length(new_row::text)) < 50000 from rowbell.message";
    assert_eq!(world.value(stored).await, "true");
}
