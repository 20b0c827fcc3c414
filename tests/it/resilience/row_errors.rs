//! One row that cannot be read or told: it fails alone, whoever it is that cannot read it.

use std::time::Duration;

use crate::harness::{CONFIG, JUAN, MARIA, SHOP, World};

/// The shop, with a JSON column that is watched.
async fn detailed(settings: &str) -> World {
    let schema = format!("{SHOP} alter table delivery add column details jsonb;");
    let config = CONFIG
        .replace("\"status\"]", "\"status\", \"details\"]")
        .replace("[delivery]", &format!("{settings}\n[delivery]"));
    World::over(&schema, &config, "").await
}

/// JSON that PostgreSQL holds and our reader does not: nested too deep.
const POISONS: [&str; 2] = [
    "(repeat('[', 200) || repeat(']', 200))::jsonb",
    "(repeat('{\"a\":', 200) || '1' || repeat('}', 200))::jsonb",
];

async fn settled(world: &mut World) {
    for _ in 0..4 {
        world.settle().await;
        world.pass(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn a_captured_row_that_we_cannot_read_fails_alone() {
    for poison in POISONS {
        let mut world = detailed("").await;
        world
            .sql(&format!(
                "update delivery set details = {poison} where id = 1; update delivery set address = 'moved' where id = 2"
            ))
            .await;
        settled(&mut world).await;
        let ended =
            ["1 failed unwritable 1 change(s) 0 attempt(s)", "2 sent 1 change(s) 1 attempt(s)"];
        assert_eq!(world.messages().await, ended, "{poison}");
        assert_eq!(world.read(JUAN).len(), 1);
        assert_eq!(world.value("select count(*) from rowbell.change").await, "0");
    }
}

#[tokio::test]
async fn a_row_that_we_cannot_read_when_it_is_told_fails_alone() {
    for poison in POISONS {
        let mut world = detailed("").await;
        world.sql("update delivery set address = 'moved'").await;
        world.work().await;
        // It came in behind the back of the triggers.
        world
            .sql(&format!(
                "set session_replication_role = replica; update delivery set details = {poison} where id = 1;
                 set session_replication_role = origin"
            ))
            .await;
        settled(&mut world).await;
        let ended =
            ["1 failed unwritable 1 change(s) 0 attempt(s)", "2 sent 1 change(s) 1 attempt(s)"];
        assert_eq!(world.messages().await, ended, "{poison}");
        let why =
            world.value("select reason_text from rowbell.message where entity_key = '1'").await;
        assert!(why.contains("error deserializing column"), "{why}");
        // What comes after it, of a row that can be read again, is told.
        world.sql("update delivery set details = null where id = 1").await;
        settled(&mut world).await;
        world.sql("update delivery set address = 'moved again' where id = 1").await;
        settled(&mut world).await;
        assert!(world.read(MARIA)[0].contains("moved again"));
    }
}

/// The rows of a large batch are read in parts, one after the other in one transaction: what fails in the last
/// of them is on record as its fault, and not as that of a part that could not be finished any more.
#[tokio::test]
async fn a_row_at_the_end_of_a_large_batch_fails_alone_too() {
    let schema = format!(
        "{SHOP} insert into customer (id, full_name, phone) select i, 'N', '+1212' || (2000100 + i) from generate_series(100, 399) as i;
         insert into delivery (id, customer_id, window_start, window_end, address)
         select i, i, '2030-06-24 10:00Z', '2030-06-24 12:00Z', 'a' from generate_series(100, 399) as i"
    );
    let of_customer = "where c.id = changed.customer_id";
    let config =
        CONFIG.replace(of_customer, &format!("{of_customer} and 1 / (changed.id - 399) < 2"));
    assert_ne!(config, CONFIG);
    // Names are asked for after the rows of a part, when those of the last part have failed already.
    let names = r#"lookup.address.sql = "select upper(wanted.address) as label""#;
    let mut world = World::over(&schema, &config, names).await;
    world.sql("update delivery set address = 'moved' where id >= 100").await;
    settled(&mut world).await;
    let ended = "select string_agg(state || ' ' || n, ', ' order by state)
                   from (select state::text, count(*) as n from rowbell.message group by state) as m";
    assert_eq!(world.value(ended).await, "failed 1, sent 299");
    let why = world.value("select reason_text from rowbell.message where entity_key = '399'").await;
    assert!(why.contains("division by zero"), "{why}");
}

#[tokio::test]
async fn a_deadline_beyond_all_years_is_one() {
    for (until, expected) in [
        ("infinity", "1 sent 1 change(s) 1 attempt(s)"),
        ("200000-01-01", "1 sent 1 change(s) 1 attempt(s)"),
        ("-infinity", "1 skipped stale 1 change(s) 0 attempt(s)"),
        ("4000-01-01 BC", "1 skipped stale 1 change(s) 0 attempt(s)"),
    ] {
        let mut world = World::with("expires_at = \"until\"").await;
        world
            .sql(&format!("alter table delivery add column until timestamptz default '{until}'"))
            .await;
        world.restart().await;
        world.sql("update delivery set address = 'moved' where id = 1").await;
        settled(&mut world).await;
        assert_eq!(world.messages().await, [expected], "{until}");
    }
}

#[tokio::test]
async fn a_row_that_takes_too_long_to_read_holds_nobody_up_and_waits() {
    let mut world = detailed("statement_timeout = \"3s\"").await;
    world
        .sql(
            "alter table customer rename to person;
             create function nap(id bigint) returns boolean language plpgsql as
                'begin if id = 1 then perform pg_sleep(60); end if; return true; end';
             create view customer as select * from person where nap(id)",
        )
        .await;
    world.sql("update delivery set address = 'moved'").await;
    world.work().await;
    world.pass(Duration::from_secs(30));
    world.work().await;
    let ended = ["1 scheduled 1 change(s) 0 attempt(s)", "2 sent 1 change(s) 1 attempt(s)"];
    assert_eq!(world.messages().await, ended);
    let why = world.value("select reason_text from rowbell.message where entity_key = '1'").await;
    assert!(why.contains("statement timeout"), "{why}");
    world
        .sql("create or replace function nap(id bigint) returns boolean language sql as 'select true'")
        .await;
    world.pass(Duration::from_secs(700));
    world.work().await;
    assert_eq!(world.read(MARIA).len(), 1);
}

/// Whatever it is in a change that cannot be written, when it is claimed or when its words are written: it fails alone
/// among a hundred others.
#[tokio::test]
async fn a_change_that_cannot_be_written_fails_alone() {
    for (moment, state) in [("insert", "waiting"), ("update", "sending")] {
        let mut world = World::new().await;
        world
            .sql(&format!(
                "insert into delivery select n, 1, 'planned', now(), now(), 'Some Street' from generate_series(11, 110) n;
                 delete from rowbell.change;
                 create function refuse() returns trigger language plpgsql as $$ begin
                     raise exception 'cannot be written' using errcode = '22021'; end $$;
                 create trigger refuse before {moment} on rowbell.message for each row
                 when (new.entity_key = '60' and new.state = '{state}') execute function refuse();
                 update delivery set address = 'Other Street'"
            ))
            .await;
        settled(&mut world).await;
        let states = "select string_agg(state || ' ' || messages, ', ' order by state)
                        from (select state::text, count(*) as messages from rowbell.message group by state) as s";
        assert_eq!(world.value(states).await, "failed 1, sent 101", "{moment}");
        let failed =
            "select entity_key || ' ' || reason || ' ' || (reason_text like '%cannot be written%')
                        from rowbell.message where state = 'failed'";
        assert_eq!(world.value(failed).await, "60 unwritable true", "{moment}");
    }
}
