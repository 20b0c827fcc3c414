//! What counts as a change: stories about the types of PostgreSQL, and about what is silence.

use crate::harness::{HEAD, MARIA, World};

/// A table with a column of every common type, and a customer.
const TYPES: &str = "
    create extension if not exists citext;
    create type mood as enum ('calm', 'busy', 'late');
    create domain email as citext check (value like '%@%');
    create domain price as numeric(10,2);
    create domain prices as price[];
    create table customer (id bigint primary key, full_name text, phone text);
    insert into customer values (1, 'Maria', '+1 212 200 0001');
    create table thing (
        id bigint primary key, customer_id bigint default 1,
        at timestamptz, wall timestamp, day date, hour time, hour_tz timetz, span interval,
        during tstzrange, days daterange, slots int4range, prices prices,
        amount numeric, fee price, fee_currency text, cash money,
        flag boolean, mood mood, mail email, code character(6), note text, tags text[],
        details jsonb, unwatched text
    );
    insert into thing values (
        1, 1, 'YEAR-06-25 10:00Z', 'YEAR-06-25 10:00', 'YEAR-06-25', '10:00', '10:00+00', '1 day',
        '[YEAR-06-25 10:00Z,YEAR-06-25 12:00Z)', '[YEAR-06-25,YEAR-06-27]', '[1,3]', '{1.5,2}',
        10, 10, 'USD', 10, true, 'calm', 'Maria@Example.com', 'ab', null, '{a,b}',
        '{\"window\": {\"at\": \"YEAR-06-25T10:00:00Z\"}, \"size\": 1, \"etag\": \"x\"}', 'x'
    );";

/// After the head: what is watched of it.
const WATCH: &str = r#"body      = ["{{ recipient.name }}", "order", "{{ summary }}"]
[watch.thing]
table     = "public.thing"
channel   = "main"
template  = "service_change"
columns   = ["at", "wall", "day", "hour", "hour_tz", "span", "during", "days", "slots", "prices",
             "amount", "fee", "cash", "flag", "mood", "mail", "code", "note", "tags",
             "details.window.at", "details.size"]
recipient = "select full_name as name, phone from customer where id = changed.customer_id"
quiet_period = "0s"
column.note = { empty = "null", trim = true, ignore_case = true }
column.amount.precision = 2
column.fee.currency = "fee_currency"
column."details.window.at".type = "timestamptz"
{watch}
"#;

async fn world() -> World {
    World::over(TYPES, &(HEAD.to_owned() + WATCH), "").await
}

/// What Maria reads about an update; None: nothing.
async fn told(world: &mut World, set: &str) -> Option<String> {
    let before = world.read(MARIA).len();
    world.sql(&format!("update thing set {set} where id = 1")).await;
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read.len() <= before + 1, "{set}: {read:?}");
    let text = read.get(before)?;
    let start = text.find("updated. ").unwrap() + "updated. ".len();
    Some(text[start..text.rfind(" If you need").unwrap()].to_owned())
}

/// lessons 4.16: a message although nothing changed (Frappe #17364): values that were written
/// differently mean the same, for every type.
#[tokio::test]
async fn another_way_to_write_the_same_value_is_silence() {
    let mut world = world().await;
    let same = [
        "at = 'YEAR-06-25 12:00+02'",
        "span = '24:00'",
        "during = '[YEAR-06-25 12:00+02,YEAR-06-25 14:00+02)'",
        "days = '[YEAR-06-25,YEAR-06-28)'",
        "slots = '[1,4)'",
        "prices = '{1.50,2.00}'",
        "amount = 10.000",
        "fee = 10.00",
        "mail = 'maria@example.COM'",
        "code = 'ab    '",
        "details = '{\"size\": 1.0, \"window\": {\"at\": \"YEAR-06-25T12:00:00+02:00\"}}'",
        "unwatched = 'y'",
    ];
    for set in same {
        assert_eq!(told(&mut world, set).await, None, "{set}");
    }
    // The same, written by a session with settings of its own.
    world.sql("set timezone = 'Asia/Kolkata'; set intervalstyle = 'postgres'").await;
    assert_eq!(told(&mut world, "at = at, during = during, note = ''").await, None);
}

/// lessons 4.17: a value that appears or disappears is a change (Hasura #10695).
#[tokio::test]
async fn nothing_becomes_something_and_something_nothing() {
    let mut world = world().await;
    assert_eq!(told(&mut world, "note = 'Ring twice'").await.as_deref(), Some("note: Ring twice."));
    assert_eq!(told(&mut world, "note = null").await.as_deref(), Some("note: Ring twice → —."));
    assert_eq!(told(&mut world, "flag = null").await.as_deref(), Some("flag: yes → —."));
}

/// lessons 4.18: null and empty text, blanks and case (Frappe #33605) as the watch says.
#[tokio::test]
async fn an_empty_note_is_no_note_where_the_watch_says_so() {
    let mut world = world().await;
    for set in ["note = ''", "note = '  '", "note = null"] {
        assert_eq!(told(&mut world, set).await, None, "{set}");
    }
    assert!(told(&mut world, "note = 'Ring'").await.is_some());
    for set in ["note = ' ring '", "note = 'RING'"] {
        assert_eq!(told(&mut world, set).await, None, "{set}");
    }
    assert_eq!(told(&mut world, "note = ''").await.as_deref(), Some("note: Ring → —."));
}

/// lessons 4.19: a difference that nobody can see (restarters #104) is silence, until it can be
/// seen.
#[tokio::test]
async fn a_difference_below_what_is_shown_is_silence() {
    let mut world = world().await;
    assert_eq!(told(&mut world, "at = 'YEAR-06-25 10:00:30Z'").await, None);
    assert_eq!(told(&mut world, "hour = '10:00:59'").await, None);
    assert_eq!(told(&mut world, "amount = 10.004").await, None);
    assert_eq!(
        told(&mut world, "amount = 10.006").await.as_deref(),
        Some("amount: 10.00 → 10.01.")
    );
    // Below the displayed precision of what was told, not of the step before.
    assert_eq!(told(&mut world, "amount = 10.008").await, None);
    assert_eq!(
        world.value("select string_agg(state || coalesce(' ' || reason::text, ''), ', ' order by message_id) from rowbell.message").await,
        "skipped no_net_change, skipped no_net_change, skipped no_net_change, sent, skipped no_net_change"
    );
}

#[tokio::test]
async fn values_of_every_type_are_told_as_people_write_them() {
    let mut world = world().await;
    let told_as = [
        ("day = '2099-06-26'", "day: June 25 → June 26, 2099."),
        ("hour = '18:30'", "hour: 10:00 AM → 6:30 PM."),
        ("mood = 'late'", "mood: calm → late."),
        ("tags = '{a,b,c}'", "tags: a and b → a, b, and c."),
        ("fee = 12.5", "fee: $10.00 → $12.50."),
        ("fee_currency = 'EUR'", "fee: $12.50 → €12.50."),
        ("details = jsonb_set(details, '{size}', '2')", "size: 1 → 2."),
        ("flag = false", "flag: yes → no."),
        ("slots = '[2,4]'", "slots: 1–3 → 2–4."),
        ("days = '[2099-06-25,2099-06-25]'", "days: from June 25 to June 27 → June 25, 2099."),
    ];
    for (set, expected) in told_as {
        let text = told(&mut world, set).await.unwrap_or_default();
        assert_eq!(text, expected, "{set}");
    }
}

/// A column that is watched since today was not null before.
#[tokio::test]
async fn a_column_that_was_not_watched_when_the_customer_was_told_is_not_told_as_new() {
    let mut world = World::new().await;
    world.sql("update delivery set note = 'secret', address = 'second' where id = 1").await;
    world.settle().await;
    let mut config = (*world.config).clone();
    config.watch.get_mut("home_delivery").unwrap().columns.push("note".to_owned());
    world.config = std::sync::Arc::new(config);
    crate::harness::install(&mut world.db, &world.config.clone()).await;
    world.restart().await;
    world.sql("update delivery set address = 'third' where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read[1].contains("updated. address: second → third. If"), "{read:?}");
}

/// lessons 4.20: some columns, some rows and some transitions are meant (Hasura #1241, #5977).
#[tokio::test]
async fn a_watch_may_mean_certain_columns_rows_and_transitions_only() {
    let rules = r#"
[[watch.home_delivery.say]]
when    = ["status"]
was     = { status = ["planned", "packed"] }
becomes = { status = "cancelled" }
text.en = "It has been cancelled."
[[watch.home_delivery.say]]
when    = ["status"]
silent  = true
"#;
    let only = "changed.customer_id and changed.address <> 'to be told later'\"\"\"";
    let config = crate::harness::CONFIG.replace("changed.customer_id\"\"\"", only) + rules;
    let mut world = World::over(crate::harness::SHOP, &config, "").await;
    for set in ["note = 'x'", "status = 'packed'", "address = 'to be told later'"] {
        world.sql(&format!("update delivery set {set} where id = 1")).await;
        world.settle().await;
    }
    let silent = [
        "1 skipped silenced 1 change(s) 0 attempt(s)",
        "1 skipped no_recipient 1 change(s) 0 attempt(s)",
    ];
    assert_eq!(world.messages().await, silent);
    world
        .sql("update delivery set address = '1 Main Street', status = 'cancelled' where id = 1")
        .await;
    world.settle().await;
    let read = world.read(MARIA);
    assert!(read.len() == 1 && read[0].contains("updated. It has been cancelled. If"), "{read:?}");
}
