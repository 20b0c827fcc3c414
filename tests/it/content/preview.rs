//! What a person tries out reaches nobody, and tells the truth.

use rowbell::clock::Clock;
use rowbell::domain::value::row::Row;
use rowbell::error_chain::chain;
use rowbell::operations::check;
use rowbell::operations::preview::preview;

use crate::harness::{CONFIG, MARIA, SHOP, World};

/// How many rows each table has.
const ROWS: &str = "
    select string_agg(c.oid::regclass::text || ' ' || xpath('/row/n/text()', query_to_xml(
               format('select count(*) as n from %s', c.oid::regclass::text), false, true, ''))::text, ', ' order by c.oid)
      from pg_class as c
     where c.relkind = 'r' and c.relnamespace in ('rowbell'::regnamespace, 'public'::regnamespace)";

/// 206Tours #2060: whoever looks at a message must not be able to send it to everybody.
#[tokio::test]
async fn a_preview_reaches_nobody_and_leaves_no_trace() {
    let mut world = World::new().await;
    let before = world.value(ROWS).await;
    assert!(before.contains("rowbell.message {0}") && before.contains("delivery {2}"), "{before}");
    let shown = world.previewed().await;
    assert!(shown.contains("1 Main Street → 2 New Street"), "{shown}");
    world.settle().await;
    assert_eq!(world.value(ROWS).await, before);
    let address = "select address from delivery where id = 1";
    assert_eq!(world.value(address).await, "1 Main Street");
    let counts = world.sandbox.counts();
    assert_eq!((counts.accepted, counts.refused), (0, 0));
}

/// Even a recipient query that writes something cannot do so.
#[tokio::test]
async fn a_preview_may_only_read() {
    let schema = format!(
        "{SHOP} create table asked (customer_id bigint);
         create function noted(id bigint) returns boolean language sql as
            'insert into asked values (id) returning true';"
    );
    let config =
        CONFIG.replace("changed.customer_id\"\"\"", "changed.customer_id and noted(c.id)\"\"\"");
    let world = World::over(&schema, &config, "").await;
    let mut client = world.stages.context.pool.get().await.unwrap();
    let (clock, row) = (Clock::system(), Row::default());
    let shown = preview(&mut client, &world.config, &clock, "home_delivery", "1", &row).await;
    let refused = format!("{:?}", shown.unwrap_err());
    assert!(refused.contains("read-only transaction"), "{refused}");
    assert_eq!(world.value("select count(*) from asked").await, "0");
}

/// Easy!Appointments, Frappe #22680: what changed, and what will be said of it?
#[tokio::test]
async fn a_preview_shows_what_changes_and_the_very_words_that_then_leave() {
    let mut world = World::new().await;
    let shown = world.previewed().await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert!(shown.starts_with("address  1 Main Street → 2 New Street\n"), "{shown}");
    assert!(shown.contains(&format!("\n{}\n", read[0])), "{shown}: {read:?}");
}

/// A misspelt column would change nothing, and look like a change that nobody is told of.
#[tokio::test]
async fn a_preview_refuses_columns_that_are_not_there() {
    let world = World::new().await;
    let mut client = world.stages.context.pool.get().await.unwrap();
    let row = Row::from_iter([("adress".into(), "2 New Street".into())]);
    let clock = Clock::system();
    let shown = preview(&mut client, &world.config, &clock, "home_delivery", "1", &row).await;
    let refused = shown.unwrap_err().to_string();
    assert!(refused.contains("has no column \"adress\"; did you mean \"address\"?"), "{refused}");
}

/// A recipient query that gives no phone would skip every message, and one that is no SQL would stop the
/// watch at the first change.
#[tokio::test]
async fn the_check_says_what_is_wrong_with_a_recipient_query() {
    for (right, wrong, expected) in [
        (
            "c.phone",
            "c.phone as fone",
            "watch.home_delivery.recipient: expected a column phone, which channel main",
        ),
        ("from customer", "frm customer", "watch.home_delivery.recipient: syntax error"),
    ] {
        let config = CONFIG.replacen(right, wrong, 1);
        assert_ne!(config, CONFIG);
        let world = World::over(SHOP, &config, "").await;
        let mut client = world.stages.context.pool.get().await.unwrap();
        let problems = check::online(&mut client, &world.config).await.problems();
        assert!(problems.iter().any(|problem| problem.starts_with(expected)), "{problems:?}");
    }
}

#[tokio::test]
async fn the_check_finds_names_of_columns_that_are_not_there() {
    let names = "label.adress.en = \"Address\"\nvalue.status.planned.en = \"planned\"\nvalue.state.planned.en = \"planned\"";
    let world = World::with(names).await;
    let mut client = world.stages.context.pool.get().await.unwrap();
    let problems = check::online(&mut client, &world.config).await.problems();
    assert_eq!(
        problems,
        [
            "watch.home_delivery.label.adress: public.delivery has no such column; did you mean \"address\"?",
            "watch.home_delivery.value.state: public.delivery has no such column; did you mean \"status\"?",
        ]
    );
}

#[tokio::test]
async fn the_check_finds_values_that_an_enum_does_not_have() {
    let schema = format!(
        "{SHOP}
         create type state as enum ('planned', 'packed');
         create domain known_state as state;
         alter table delivery alter status drop default, alter status type known_state using status::state;"
    );
    let rules = r#"
value.status.planed.en = "planned"
value.status.packed.en = "packed"
value.address.anywhere.en = "anywhere"
[[watch.home_delivery.say]]
becomes = { status = ["packed", "pakced"] }
was     = { status = "planned" }
silent  = true
[[watch.home_delivery.say]]
was     = { status = "gone" }
silent  = true
"#;
    let world = World::over(&schema, CONFIG, rules).await;
    let mut client = world.stages.context.pool.get().await.unwrap();
    assert_eq!(
        check::online(&mut client, &world.config).await.problems(),
        [
            "watch.home_delivery.value.status: the column is never \"planed\"; did you mean \"planned\"?",
            "watch.home_delivery.say[0].becomes.status: the column is never \"pakced\"; did you mean \"packed\"?",
            "watch.home_delivery.say[1].was.status: the column is never \"gone\"; there are planned, packed",
        ]
    );
}

/// `--set window_start=soon` read as if the watch were broken.
#[tokio::test]
async fn a_value_that_a_column_cannot_hold_is_the_fault_of_set() {
    let world = World::new().await;
    let mut client = world.stages.context.pool.get().await.unwrap();
    for (column, value, why) in [
        (
            "window_start",
            "soon",
            "invalid input syntax for type timestamp with time zone: \"soon\"",
        ),
        ("customer_id", "Maria", "invalid input syntax for type bigint: \"Maria\""),
    ] {
        let invented = [(column.into(), value.into())].into_iter().collect();
        let clock = Clock::system();
        let shown = preview(&mut client, &world.config, &clock, "home_delivery", "1", &invented);
        let said = chain(&shown.await.unwrap_err());
        assert_eq!(said, format!("--set: a row of public.delivery cannot be so: {why}"));
    }
}
