//! Whoever writes: no statement of theirs fails because of us, whatever their session or their database is set to.

use rowbell::finding::{Mend, Severity};
use rowbell::operations::check;
use rowbell::postgres::schema::migrate;
use rowbell_lab::demo::cluster::{Cluster, ClusterOptions};
use rowbell_lab::demo::testbed::connect;
use tokio_postgres::Client;

use crate::harness::{self, MARIA, SHOP, World};

/// The shop in another database.
async fn shop(world: &World, url: &str) -> Client {
    let mut db = connect(url).await.unwrap();
    db.batch_execute(&SHOP.replace("YEAR", "2030")).await.unwrap();
    migrate::migrate(&mut db).await.unwrap();
    harness::install(&mut db, &world.config).await;
    db
}

async fn captured(db: &Client) -> i64 {
    db.query_one("select count(*) from rowbell.change", &[]).await.unwrap().get(0)
}

/// In Turkish the lower case of INSERT has a dotless i: every insert of the business failed.
#[tokio::test]
async fn a_turkish_database_takes_inserts() {
    let world = World::new().await;
    if world.value("current_setting('server_version_num')::int >= 150000").await == "false" {
        return;
    }
    world
        .sql("create database shop template template0 locale_provider icu icu_locale 'tr-TR' encoding 'UTF8' lc_collate 'C' lc_ctype 'C'")
        .await;
    let db = shop(&world, &world.cluster.url("shop")).await;
    let lower: String = db.query_one("select lower('INSERT')", &[]).await.unwrap().get(0);
    assert_eq!(lower, "ınsert");
    db.batch_execute(
        "insert into delivery (id) values (77); update delivery set address = 'x' where id = 77",
    )
    .await
    .unwrap();
    // A table that has changed since is captured by the names of its columns.
    db.batch_execute(
        "alter table delivery rename column status to state; insert into delivery (id) values (78)",
    )
    .await
    .unwrap();
    assert_eq!(captured(&db).await, 3);
}

/// PostgreSQL refuses to prepare a transaction that has notified anybody.
#[tokio::test]
async fn transactions_of_the_business_can_be_prepared() {
    let mut world = World::new().await;
    let cluster = Cluster::start(ClusterOptions {
        settings: vec![("max_prepared_transactions".to_owned(), "5".to_owned())],
        cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
        ..ClusterOptions::default()
    })
    .unwrap();
    let db = shop(&world, &cluster.url("postgres")).await;
    db.batch_execute("select setval('rowbell.doorbell', 2)").await.unwrap();
    for (number, ending) in ["commit", "rollback"].into_iter().enumerate() {
        db.batch_execute("begin; update delivery set address = 'moved'").await.unwrap();
        db.batch_execute(&format!("prepare transaction 'a{number}'")).await.unwrap();
        db.batch_execute(&format!("{ending} prepared 'a{number}'")).await.unwrap();
    }
    assert_eq!(captured(&db).await, 2);
    world.cluster = cluster;
    let mut config = (*world.config).clone();
    config.database.url = world.cluster.url("postgres");
    world.config = config.into();
    let stages = world.another().await;
    let mut client = stages.context.pool.get().await.unwrap();
    let report = check::online(&mut client, &world.config).await;
    let said = report.findings.iter().find(|finding| finding.key == "watch.home_delivery.ring");
    let said = said.unwrap();
    assert!(said.severity == Severity::Warning && said.what.contains("prepared"), "{said:?}");
}

/// hasura #8814: rows that come by logical replication fire no ordinary trigger. `check` says so and how to let it.
#[tokio::test]
async fn rows_that_come_by_logical_replication_are_told_once_the_trigger_may_fire() {
    let mut world = World::new().await;
    let cluster = Cluster::start(ClusterOptions {
        settings: vec![("wal_level".to_owned(), "logical".to_owned())],
        cache: Some(env!("CARGO_TARGET_TMPDIR").into()),
        ..ClusterOptions::default()
    })
    .unwrap();
    let admin = connect(&cluster.url("postgres")).await.unwrap();
    admin.batch_execute("create database source").await.unwrap();
    let source = connect(&cluster.url("source")).await.unwrap();
    let shop_sql = SHOP.replace("YEAR", "2030");
    source
        .batch_execute(&format!("{shop_sql}; create publication p for table delivery"))
        .await
        .unwrap();
    source
        .execute("select pg_create_logical_replication_slot('s', 'pgoutput')", &[])
        .await
        .unwrap();
    let db = shop(&world, &cluster.url("postgres")).await;
    db.batch_execute(&format!(
        "create subscription s connection 'host=127.0.0.1 port={} dbname=source user=postgres' publication p
         with (create_slot = false, slot_name = 's', copy_data = false)",
        cluster.port()
    ))
    .await
    .unwrap();
    world.cluster = cluster;
    let mut config = (*world.config).clone();
    config.database.url = world.cluster.url("postgres");
    world.config = config.into();
    let stages = world.another().await;
    let mut client = stages.context.pool.get().await.unwrap();
    let report = check::online(&mut client, &world.config).await;
    let said = report.findings.iter().find(|finding| finding.what.contains("logical replication"));
    let said = said.unwrap();
    let [Mend::Sql(mend)] = said.mend.as_slice() else { panic!("{said:?}") };
    let arrives = async |address: &str| {
        let update = format!("update delivery set address = '{address}' where id = 1");
        source.batch_execute(&update).await.unwrap();
        let here = format!("select exists (select from delivery where address = '{address}')");
        while !db.query_one(&here, &[]).await.unwrap().get::<_, bool>(0) {
            tokio::task::yield_now().await;
        }
    };
    arrives("unseen").await;
    assert_eq!(captured(&db).await, 0);
    db.batch_execute(mend).await.unwrap();
    arrives("seen").await;
    assert_eq!(captured(&db).await, 1);
    let report = check::online(&mut client, &world.config).await;
    assert!(!report.problems().iter().any(|problem| problem.contains("replication")));
    db.batch_execute("alter subscription s disable; alter subscription s set (slot_name = none); drop subscription s").await.unwrap();
}

/// Whatever decides how statements and functions are read in the session of a writer.
#[tokio::test]
async fn no_setting_of_a_writer_fails_a_write_or_hides_it() {
    let mut world = World::new().await;
    world
        .sql(
            "create schema evil;
             create function evil.lower(text) returns text language sql as $$ select 'evil' $$;
             create function evil.concat(text, text) returns text language sql as $$ select 'evil' $$;
             create function evil.to_jsonb(anyelement) returns jsonb language sql as $$ select 'null'::jsonb $$;
             create domain evil.text as pg_catalog.text check (false);
             create role clerk; grant usage on schema public, evil to clerk;
             grant select, insert, update, delete on delivery to clerk;
             create function nothing() returns trigger language plpgsql as $$ begin return new; end $$;",
        )
        .await;
    let settings = [
        "set standard_conforming_strings = off; set backslash_quote = off",
        "set escape_string_warning = on; set array_nulls = off; set transform_null_equals = on",
        "set plpgsql.variable_conflict = 'error'; set plpgsql.extra_errors = 'all'; set plpgsql.extra_warnings = 'all'",
        "set plpgsql.variable_conflict = 'use_column'; set plpgsql.check_asserts = off; set plpgsql.print_strict_params = on",
        "set search_path = evil, pg_catalog, public",
        "set search_path = ''",
        "set role clerk",
        "set row_security = off; set lock_timeout = '1ms'; set default_transaction_deferrable = on",
        "set default_transaction_isolation = 'serializable'; set client_encoding = 'LATIN1'",
        "set quote_all_identifiers = on; set check_function_bodies = off; set xmlbinary = 'hex'; set xmloption = 'document'",
        "set enable_seqscan = off; set jit_above_cost = 0; set force_parallel_mode = off; set work_mem = '64kB'",
        "set default_tablespace = ''; set temp_tablespaces = ''; set bytea_output = 'escape'; set lc_numeric = 'C'",
        "set session characteristics as transaction isolation level repeatable read; set application_name = E'\\'; drop --'",
        "set rowbell.actor = 'X'; set statement_timeout = '60s'; set idle_in_transaction_session_timeout = '60s'",
        "set timezone = 'Pacific/Apia'; set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard'; set synchronous_commit = off",
    ];
    for (number, setting) in settings.iter().enumerate() {
        let writer = connect(&world.cluster.url("postgres")).await.unwrap();
        for part in setting.split("; set ") {
            let part =
                if part.starts_with("set ") { part.to_owned() } else { format!("set {part}") };
            // Not every version has every setting.
            if let Err(error) = writer.batch_execute(&part).await {
                assert!(part.contains("parallel"), "{part}: {error}");
            }
        }
        writer
            .batch_execute(&format!(
                "insert into public.delivery (id, customer_id, address) values ({number} + 100, 1, E'a\\\\b''c{number}');
                 update public.delivery set address = 'new {number}' where id = {number} + 100;
                 begin; savepoint s; update public.delivery set address = 'gone'; rollback to s;
                 update public.delivery set status = 'late' where id = {number} + 100; commit"
            ))
            .await
            .unwrap_or_else(|error| panic!("{setting}: {error:?}"));
    }
    world.settle().await;
    let read = world.read(MARIA);
    assert_eq!(read.len(), settings.len(), "{read:?}");
    for (number, text) in read.iter().enumerate() {
        assert!(text.contains(&format!("address: new {number}")), "{text}");
    }
}

/// Each way to write a row that PostgreSQL has.
#[tokio::test]
async fn every_way_to_write_is_seen() {
    let mut world = World::new().await;
    world
        .sql(
            "alter table delivery alter column customer_id set default 1;
             create view open_delivery as select id, address, status from delivery where status <> 'done';
             create view told as select id, address from delivery;
             create function write_through() returns trigger language plpgsql as $$ begin
                 update delivery set address = new.address || '!' where id = old.id; return new; end $$;
             create trigger write instead of update on told for each row execute function write_through();
             create function later() returns trigger language plpgsql as $$ begin
                 update delivery set status = 'checked' where id = new.id and status = 'deferred'; return null; end $$;
             create constraint trigger later after update on delivery deferrable initially deferred
                 for each row execute function later();
             alter table delivery add foreign key (customer_id) references customer on update cascade on delete cascade;",
        )
        .await;
    let can_merge =
        world.value("current_setting('server_version_num')::int >= 150000").await == "true";
    let ways = [
        ("update open_delivery set address = 'by a view' where id = 1", "by a view"),
        ("update told set address = 'instead' where id = 1", "instead!"),
        ("insert into delivery (id) values (1) on conflict (id) do update set address = 'by conflict'", "by conflict"),
        ("with moved as (update delivery set address = 'by with' where id = 1 returning id) select * from moved", "by with"),
        (
            "merge into delivery using (values (1::bigint)) as v (id) on delivery.id = v.id
             when matched then update set address = 'by merge'",
            "by merge",
        ),
        (
            "begin; declare c cursor for select * from delivery where id = 1 for update; fetch c;
             update delivery set address = 'by cursor' where current of c; commit",
            "by cursor",
        ),
        ("update delivery set status = 'deferred' where id = 1", "checked"),
        ("do $$ begin begin update delivery set address = 'lost'; raise 'x'; exception when others then
            update delivery set address = 'by exception' where id = 1; end; end $$", "by exception"),
    ];
    for (sql, expected) in ways {
        if sql.starts_with("merge") && !can_merge {
            continue;
        }
        let before = world.read(MARIA).len();
        world.sql(sql).await;
        world.settle().await;
        let read = world.read(MARIA);
        assert_eq!(read.len(), before + 1, "{sql}: {read:?}");
        assert!(read[before].contains(&format!("→ {expected}.")), "{sql}: {}", read[before]);
    }
    let before = world.read(MARIA).len();
    world.sql("delete from customer where id = 1").await;
    world.settle().await;
    assert_eq!(world.read(MARIA).len(), before, "nobody is left who could be told");
}
