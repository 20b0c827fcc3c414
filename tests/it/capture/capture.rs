//! Whatever the business does to its tables, its own statements go through.

use std::time::{Duration, Instant};

use rowbell::postgres::capture::install;
use rowbell::postgres::operations::status_report;
use rowbell_lab::demo::testbed::connect;

use crate::harness::{HEAD, MARIA, World};

const WATCHED: &str = "update delivery set address = 'moved' where id = 1";

async fn recorded(world: &World) -> String {
    world.value("select count(*) from rowbell.change").await
}

#[tokio::test]
async fn an_update_of_other_columns_records_nothing() {
    let world = World::new().await;
    world.sql("update delivery set note = 'x'; update delivery set address = address").await;
    assert_eq!(recorded(&world).await, "0");
}

#[tokio::test]
async fn only_key_watched_and_needed_columns_are_stored() {
    let world = World::new().await;
    world.sql("update delivery set note = 'secret', address = 'moved' where id = 1").await;
    assert_eq!(
        world.value("select string_agg(k, ' ' order by k) from rowbell.change_row, jsonb_object_keys(new_row) k").await,
        "address customer_id id status window_end window_start"
    );
    assert_eq!(
        world
            .value("select operation || ' ' || entity_key || ' ' || (old_row ->> 'address') || ' ' || changed_by from rowbell.change_row")
            .await,
        "update 1 1 Main Street postgres"
    );
}

#[tokio::test]
async fn a_change_says_who_made_it() {
    let world = World::new().await;
    world
        .sql(
            "update delivery set address = 'a' where id = 1; set application_name = 'dispatch'; \
              update delivery set address = 'b' where id = 1; \
              begin; set local rowbell.actor = 'Ana of the night shift'; \
              update delivery set address = 'c' where id = 1; commit; \
              update delivery set address = 'd' where id = 1",
        )
        .await;
    assert_eq!(
        world
            .value("select string_agg(changed_by, ', ' order by change_id) from rowbell.change")
            .await,
        "postgres, postgres (dispatch), Ana of the night shift, postgres (dispatch)"
    );
}

#[tokio::test]
async fn alter_table_is_never_refused_and_later_writes_go_through() {
    let world = World::new().await;
    let alterations = [
        "alter table delivery add column added integer default 7",
        "alter table delivery rename column address to street",
        "alter table delivery drop column status",
        "alter table delivery alter column window_end type text using window_end::text",
        "alter table delivery alter column id type integer",
        "alter table delivery rename column id to number",
        "alter table delivery rename to shipment",
        "create schema other; alter table shipment set schema other; set search_path = other",
    ];
    for (n, alter) in alterations.iter().enumerate() {
        world.sql(alter).await;
        let table = if alter.contains("shipment") { "shipment" } else { "delivery" };
        world
            .sql(&format!(
                "update {table} set window_start = window_start + interval '1 hour'; \
                 insert into {table} values ({n} + 100)"
            ))
            .await;
    }
}

#[tokio::test]
async fn a_ten_megabyte_row_goes_through() {
    let mut world = World::new().await;
    world.sql("update delivery set address = repeat('x', 10000000) where id = 1").await;
    assert_eq!(recorded(&world).await, "1");
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1, "{:?}", world.messages().await);
    assert!(read[0].chars().count() <= 1024, "{} characters", read[0].chars().count());
    assert!(read[0].contains('…'), "cut with an ellipsis");
}

#[tokio::test]
async fn exotic_names_and_types_are_captured() {
    let mut world = World::over(
        r#"create schema "Sales & Co";
           create type "Sales & Co"."Mood" as enum ('so "so"', 'gut');
           create domain "Sales & Co"."Cents" as integer check (value >= 0);
           create table "Sales & Co"."Käufe'\x" (
               "Id No" uuid, "zweite,Nummer" text, "Größe" numeric(10,2), "W" tstzrange, "Liste" text[],
               "Stimmung" "Sales & Co"."Mood", "Preis" "Sales & Co"."Cents", "xml" xml, "js" jsonb, "bin" bytea,
               "wer" text, "ipa" inet, "bits" bit(3), "geo" point, "iv" interval, "mac" money,
               primary key ("Id No", "zweite,Nummer"));
           insert into "Sales & Co"."Käufe'\x" values
               ('6f1c0000-0000-4000-8000-000000000001', 'a,b\c', 1.50, '[2030-01-01,2030-01-02)', '{a,b}', 'gut', 5,
                '<a/>', '{"k":[1,2]}', '\xdead', '+1 212 200 0001', '10.0.0.1', B'101', '(1,2)', '3 days', 9.99)"#,
        &(HEAD.to_owned() + r#"body = ["you", "purchase", "{{ summary }}"]
[watch."k'ä\"ufe"]
table = "\"Sales & Co\".\"Käufe'\\x\""
channel = "main"
template = "service_change"
columns = ["Größe", "W", "Liste", "Stimmung", "Preis", "xml", "js", "bin", "ipa", "bits", "geo", "iv", "mac"]
context = ["wer"]
recipient = "select 'you' as name, changed.wer as phone"
quiet_period = "0s"
"#),
        "",
    )
    .await;
    world
        .sql(
            r#"update "Sales & Co"."Käufe'\x" set "Größe" = 2, "Liste" = '{c,"d e"}', "Stimmung" = 'so "so"', "Preis" = 7,
                   "js" = '{"k":[2]}', "bin" = '\xbeef', "xml" = '<b/>', "W" = '[2030-02-01,)', "ipa" = '::1',
                   "bits" = B'000', "geo" = '(3,4)', "iv" = '1 mon', "mac" = 1"#,
        )
        .await;
    assert_eq!(
        world
            .value(
                "select entity_key || ' ' || coalesce(capture_error, 'fine') from rowbell.change"
            )
            .await,
        "6f1c0000-0000-4000-8000-000000000001,a\\,b\\\\c fine"
    );
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), 1, "{:?}", world.messages().await);
}

#[tokio::test]
async fn partitions_are_captured_even_when_a_row_moves_between_them() {
    let mut world = World::over(
        "create table customer (id bigint primary key, full_name text, phone text);
         create table delivery (id bigint, region text, address text, customer_id bigint, primary key (id, region))
             partition by list (region);
         create table delivery_north partition of delivery for values in ('north');
         create table delivery_south partition of delivery for values in ('south');
         insert into customer values (1, 'Maria', '+1 212 200 0001');
         insert into delivery values (1, 'north', 'a', 1);",
        &(HEAD.to_owned() + r#"body = ["{{ recipient.name }}", "delivery", "{{ summary }}"]
[watch.home_delivery]
table = "public.delivery"
key = ["id"]
channel = "main"
template = "service_change"
columns = ["address"]
context = ["customer_id"]
on = ["insert", "update", "delete"]
recipient = "select full_name as name, phone from customer where id = changed.customer_id"
quiet_period = "0s"
"#),
        "",
    )
    .await;
    world.sql("update delivery set address = 'b' where id = 1").await;
    world.sql("create table delivery_west partition of delivery for values in ('west')").await;
    world.sql("update delivery set region = 'west', address = 'c' where id = 1").await;
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), 1, "{read:?} {:?}", world.messages().await);
    assert!(read[0].contains("a → c"), "{read:?}");
}

#[tokio::test]
async fn one_statement_over_many_rows_is_recorded_row_by_row() {
    let world = World::new().await;
    world
        .sql("insert into delivery select i, 1, 'planned', now(), now(), 'x' from generate_series(10, 5009) i; \
              delete from rowbell.change; update delivery set status = 'packed' where id >= 10")
        .await;
    assert_eq!(recorded(&world).await, "5000");
    assert_eq!(world.value("select count(distinct transaction_id) from rowbell.change").await, "1");
}

#[tokio::test]
async fn what_is_rolled_back_is_not_recorded() {
    let world = World::new().await;
    world
        .sql(&format!(
            "begin; savepoint a; {WATCHED}; rollback to a; update delivery set status = 'packed' where id = 1; commit; \
             begin; {WATCHED}; rollback"
        ))
        .await;
    assert_eq!(recorded(&world).await, "1");
    assert_eq!(world.value("select new_row ->> 'status' from rowbell.change_row").await, "packed");
}

#[tokio::test]
async fn a_writer_needs_no_rights_on_rowbell() {
    let world = World::new().await;
    world
        .sql(&format!("create role clerk; grant select, update on delivery to clerk; set role clerk; {WATCHED}; reset role"))
        .await;
    assert_eq!(recorded(&world).await, "1");
}

#[tokio::test]
async fn a_hostile_search_path_changes_nothing() {
    let world = World::new().await;
    world
        .sql(&format!(
            "create schema evil; create table evil.change (x int); \
             create function evil.to_jsonb(anyelement) returns jsonb language sql as 'select null::jsonb'; \
             create function evil.record_image_eq(record, record) returns boolean language internal as 'record_image_ne'; \
             create function evil.current_setting(text, boolean) returns text language sql as 'select (1 / 0)::text'; \
             create function evil.lie(text, text) returns boolean language sql as 'select 1 / 0 = 1'; \
             create operator evil.= (leftarg = text, rightarg = text, function = evil.lie); \
             create operator evil.<> (leftarg = text, rightarg = text, function = evil.lie); \
             set search_path = evil, public, pg_catalog; {WATCHED}; \
             set rowbell.mute = 'why'; update delivery set address = 'and back' where id = 1; \
             set rowbell.mute = ''; {WATCHED}; reset search_path"
        ))
        .await;
    let reasons = "select string_agg(coalesce(mute_reason, 'told'), ' ' order by change_id) from rowbell.change";
    assert_eq!(world.value(reasons).await, "told why told");
}

#[tokio::test]
async fn a_column_that_is_not_what_it_was_is_recorded_by_name() {
    let world = World::new().await;
    let last = "select case when c.captured is null then 'by name ' else '' end
                       || (r.old_row ->> 'window_end') || ' ' || (r.new_row ->> 'window_end') || ' ' || (r.new_row ? 'status')
                  from rowbell.change_row as r join rowbell.change as c using (change_id)
                 order by change_id desc limit 1";
    // From here on the session holds plans for the type that the column has.
    world.sql("update delivery set window_end = '2030-01-01 00:00Z' where id = 1").await;
    world
        .sql(
            "alter table delivery alter column window_end type date using '2030-01-01'; \
              update delivery set window_end = '2030-01-02' where id = 1",
        )
        .await;
    assert_eq!(world.value(last).await, "by name 2030-01-01 2030-01-02 true");
    world
        .sql(
            "alter table delivery drop column status; update delivery set note = 'x' where id = 1; \
              update delivery set window_end = '2030-01-03' where id = 1",
        )
        .await;
    assert_eq!(world.value(last).await, "by name 2030-01-02 2030-01-03 true");
    assert_eq!(recorded(&world).await, "3");
}

#[tokio::test]
async fn what_looks_different_is_recorded_and_what_is_the_same_is_not() {
    let mut world = World::over(
        r#"create collation nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
           create table visit (id bigint primary key, nurse text collate nocase not null, price numeric not null,
                               length interval not null, room integer not null, floor integer, note text);
           insert into visit values (1, 'maria', 1.0, '24 hours', 1, null)"#,
        &(HEAD.to_owned() + r#"body = ["you", "visit", "{{ summary }}"]
[watch.visit]
table = "visit"
channel = "main"
template = "service_change"
columns = ["nurse", "price", "length", "room", "floor"]
recipient = "select 'you' as name, '+1 212 200 0001' as phone"
quiet_period = "0s"
"#),
        "",
    )
    .await;
    world
        .sql(
            "update visit set note = 'x'; update visit set room = 1, floor = null, nurse = 'maria'",
        )
        .await;
    assert_eq!(recorded(&world).await, "0");
    for (n, change) in
        ["nurse = 'Maria'", "price = 1.00", "length = '1 day'", "room = 2", "floor = 3"]
            .iter()
            .enumerate()
    {
        world.sql(&format!("update visit set {change}")).await;
        assert_eq!(recorded(&world).await, (n + 1).to_string(), "{change}");
    }
    // A null where there could be none when the trigger was made: recorded, and found to say nothing.
    world.settle().await;
    let told = world.read(MARIA).len();
    world
        .sql("alter table visit alter column room drop not null; update visit set room = null")
        .await;
    world.settle().await;
    world.sql("update visit set note = 'y'").await;
    assert_eq!(recorded(&world).await, "1");
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), told + 1, "{:?}", world.messages().await);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_on_record_and_its_statement_goes_through() {
    let mut world = World::new().await;
    // A watched column of a type whose conversion to JSON fails: a cast that raises an error.
    world
        .sql("create type rude as enum ('x'); \
              create function rude_json(rude) returns json language plpgsql as $$ begin raise exception 'no'; end $$; \
              create cast (rude as json) with function rude_json(rude); \
              alter table delivery drop column address; alter table delivery add column address rude; \
              update delivery set address = 'x' where id = 1")
        .await;
    assert_eq!(world.value("select capture_error from rowbell.change").await, "P0001: no");
    world.settle().await;
    assert_eq!(
        world.value("select state || ' ' || reason from rowbell.message").await,
        "failed unwritable"
    );
}

#[tokio::test]
async fn triggers_come_and_go_and_say_so() {
    let mut world = World::new().await;
    let watch = world.config.watch["home_delivery"].clone();
    let template = world.config.template["service_change"].clone();
    let describe = install::describe(&world.db, "home_delivery", &watch, &template);
    let table = describe.await.unwrap();
    assert!(install::drift(&world.db, &table, &watch).await.unwrap().is_empty());
    world.sql("alter table delivery disable trigger rowbell_capture_home_delivery").await;
    let drift = install::drift(&world.db, &table, &watch).await.unwrap();
    assert!(drift[0].what.contains("is disabled"), "{drift:?}");
    let removed = install::remove(&mut world.db, "home_delivery").await.unwrap();
    assert_eq!(removed, ["public.delivery"]);
    assert!(install::remove(&mut world.db, "home_delivery").await.unwrap().is_empty());
    let drift = install::drift(&world.db, &table, &watch).await.unwrap();
    assert!(drift[0].what.contains("has no trigger"), "{drift:?}");
    world.sql(WATCHED).await;
    assert_eq!(recorded(&world).await, "0");
}

/// switch #457: a migration waited for its lock, and the live application behind it.
#[tokio::test]
async fn who_installs_a_trigger_gives_up_before_the_shop_has_to_wait_for_long() {
    let mut world = World::new().await;
    let url = world.cluster.url("postgres");
    let (slow, clerk) = (connect(&url).await.unwrap(), connect(&url).await.unwrap());
    let watch = world.config.watch["home_delivery"].clone();
    let template = world.config.template["service_change"].clone();
    let table = install::describe(&world.db, "home_delivery", &watch, &template).await.unwrap();
    assert_eq!(install::remove(&mut world.db, "home_delivery").await.unwrap().len(), 1);
    slow.batch_execute("begin; update delivery set note = 'x' where id = 2").await.unwrap();
    let began = Instant::now();
    let write = async {
        let waits = "select exists (select from pg_locks where relation = 'delivery'::regclass and not granted)";
        while !clerk.query_one(waits, &[]).await.unwrap().get::<_, bool>(0) {
            tokio::task::yield_now().await;
        }
        clerk.batch_execute(WATCHED).await.unwrap();
    };
    let (installed, ()) = tokio::join!(install::install(&mut world.db, &table, &watch), write);
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "the clerk waited for {took:?}");
    let refused = installed.unwrap_err().to_string();
    let process: i32 = slow.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let way_out = format!("or end it with `select pg_terminate_backend({process})`, and try again");
    for part in [
        "nothing was changed: a lock was held for more than 3 seconds by process",
        ", in a transaction since 20",
        ", its last query since 20",
        way_out.as_str(),
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    slow.batch_execute("commit").await.unwrap();
    install::install(&mut world.db, &table, &watch).await.unwrap();
    world.sql("update delivery set address = 'and back' where id = 1").await;
    assert_eq!(recorded(&world).await, "1");
    slow.batch_execute("begin; update delivery set note = 'y' where id = 2").await.unwrap();
    let refused = install::remove(&mut world.db, "home_delivery").await.unwrap_err().to_string();
    assert!(refused.contains(&way_out), "{refused}");
}

/// hatchet #3898: a setting that stays in a session of a pool mutes what others do in it, too.
#[tokio::test]
async fn a_session_that_mutes_all_that_it_does_is_named() {
    let mut world = World::new().await;
    world.sql("insert into delivery select n, 1 from generate_series(11, 30) n").await;
    world.settle().await;
    let shown = async |world: &World| {
        let status = status_report::status(&world.db, &world.config, world.now()).await.unwrap();
        rowbell::cli::inspect::status::as_text(&status)
    };
    assert!(!shown(&world).await.contains("muted and told to nobody"));
    world.sql("set application_name = 'dispatch'; set rowbell.mute = 'import'").await;
    for address in ["a", "b"] {
        world.sql(&format!("update delivery set address = '{address}'")).await;
    }
    world.settle().await;
    let said = shown(&world).await;
    assert!(
        said.contains("- 44 of the latest 64 messages within an hour are muted and told to nobody"),
        "{said}"
    );
    assert!(
        said.contains("most often: import, by postgres (dispatch). Where a session sets"),
        "{said}"
    );
}
