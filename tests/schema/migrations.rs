//! Migrating: from nothing, from an earlier version with rows in it, twice, by two at once, and back.

use rowbell::postgres::schema::migrate::{self, MigrateError};

use super::ground::{Database, HISTORY, lines, sql_files};

fn chain(error: &MigrateError) -> String {
    error.to_string()
}

#[tokio::test]
async fn every_migration_is_applied_once() {
    let database = Database::empty().await;
    let mut client = database.client().await;
    let missing = migrate::check_version(&client).await.unwrap_err();
    insta::assert_snapshot!(chain(&missing), @r"
    there is no schema rowbell in this database; run `rowbell migrate` first
    ");

    let first = migrate::migrate(&mut client).await.unwrap();
    let files: Vec<String> = sql_files("migrations").into_iter().map(|(name, _)| name).collect();
    assert_eq!(first.names, files, "every file is registered, in order");
    assert_eq!(first.missing_roles, [""; 0], "a superuser may create roles");

    let again = migrate::migrate(&mut client).await.unwrap();
    assert_eq!((again.names, again.version), (vec![], first.version));
    migrate::check_version(&client).await.unwrap();
}

async fn at_version_5(client: &tokio_postgres::Client) {
    for (_, sql) in sql_files("migrations").iter().take(5) {
        client.batch_execute(sql).await.unwrap();
    }
    let version = "insert into rowbell.installation (schema_version) values (5)";
    client.batch_execute(version).await.unwrap();
}

#[tokio::test]
async fn a_database_in_use_is_brought_up_to_date_with_its_rows() {
    let database = Database::empty().await;
    let mut client = database.client().await;
    at_version_5(&client).await;
    client.batch_execute(HISTORY).await.unwrap();
    let older = migrate::check_version(&client).await.unwrap_err();
    assert!(chain(&older).starts_with("the schema is version 5, this rowbell needs "), "{older}");

    let planned = migrate::plan(&client).await.unwrap();
    let names: Vec<&str> = planned.iter().map(|planned| planned.name).collect();
    let locks: Vec<String> = planned
        .iter()
        .flat_map(|planned| &planned.locks)
        .map(|lock| format!("{} {} {}", lock.table, lock.mode, lock.rows))
        .collect();
    let message = "rowbell.message ACCESS EXCLUSIVE (others wait) 5".to_owned();
    assert!(locks.contains(&message), "{locks:?}");
    let version = migrate::version(&client).await.unwrap();
    assert_eq!(version, Some(5), "a plan changes nothing");

    let applied = migrate::migrate(&mut client).await.unwrap();

    assert_eq!(applied.names, names);
    assert_eq!(migrate::plan(&client).await.unwrap(), []);
    assert_eq!(applied.names.first(), Some(&"06_reconcile"));
    migrate::check_version(&client).await.unwrap();
    let rows = "select (select count(*) from rowbell.message), (select count(*) from rowbell.queue),
                       (select count(*) from rowbell.attempt), (select count(*) from rowbell.receipt),
                       (select count(*) from rowbell.change), (select count(*) from rowbell_report.message_status)";
    assert_eq!(lines(&client, rows).await, "5 | 2 | 4 | 3 | 1 | 5");
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let (_database, mut client) = Database::migrated().await;
    client.batch_execute("update rowbell.installation set schema_version = 999").await.unwrap();
    let newer = migrate::migrate(&mut client).await.unwrap_err();
    let known = format!("the {} that", migrate::known_version());
    insta::assert_snapshot!(chain(&newer).replace(&known, "the [known] that"), @r"
    the schema is version 999, newer than the [known] that this rowbell knows; update rowbell
    ");
    let known = migrate::known_version();
    let too_old = format!(
        "the schema is version 999 and serves daemons from version {} on; this rowbell knows version {known} and is too \
         old: update rowbell",
        known + 1
    );
    let serves = |oldest: i32| format!("update rowbell.installation set oldest_daemon = {oldest}");
    client.batch_execute(&serves(known + 1)).await.unwrap();
    assert_eq!(chain(&migrate::check_version(&client).await.unwrap_err()), too_old);
    // What only adds leaves those at work that came before it.
    client.batch_execute(&serves(known)).await.unwrap();
    migrate::check_version(&client).await.unwrap();
}

#[tokio::test]
async fn who_has_no_right_to_the_schema_is_told_which_one_is_missing() {
    let (database, _client) = Database::migrated().await;
    let user = database.user("stranger", None).await;
    let stranger = database.client_as(&user).await;
    let refused = migrate::check_version(&stranger).await.unwrap_err();
    assert_eq!(
        chain(&refused).replace(&user, "[user]"),
        "the role may not use schema rowbell; have its owner run: grant rowbell_daemon to [user]"
    );
}

#[tokio::test]
async fn a_schema_that_is_not_ours_is_left_alone() {
    let database = Database::empty().await;
    let mut client = database.client().await;
    client.batch_execute("create schema rowbell").await.unwrap();
    let refused = migrate::migrate(&mut client).await.unwrap_err();
    insta::assert_snapshot!(chain(&refused), @r"
    migration 01_schema failed (schema rowbell exists but was not made by rowbell); nothing of it was applied
    ");
}

#[tokio::test]
async fn several_may_migrate_at_once() {
    let database = Database::empty().await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(database.client().await);
    }
    let all = clients.iter_mut().map(migrate::migrate);
    let done = futures_util::future::try_join_all(all).await.unwrap();
    let mut applied: Vec<usize> = done.iter().map(|done| done.names.len()).collect();
    applied.sort_unstable();
    assert_eq!(applied, [0, 0, 0, sql_files("migrations").len()], "one of them did it all");
}

#[tokio::test]
async fn what_migrate_prints_for_a_dba_does_the_same() {
    let (_other, migrated) = Database::migrated().await;
    let database = Database::empty().await;
    let client = database.client().await;
    client.batch_execute(&migrate::script()).await.unwrap();
    migrate::check_version(&client).await.unwrap();
    let columns =
        "select table_schema, table_name, column_name, data_type from information_schema.columns
                    where table_schema like 'rowbell%' order by 1, 2, 3";
    let grants = "select n.nspname, c.relname, c.relacl::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                   where n.nspname like 'rowbell%' and c.relacl is not null order by 1, 2";
    for query in [columns, grants] {
        let printed = lines(&client, query).await;
        assert!(!printed.is_empty());
        assert_eq!(printed, lines(&migrated, query).await);
    }
}

/// switch #457: a migration waited for its lock, and the live application behind it.
#[tokio::test]
async fn a_migration_gives_up_rather_than_let_others_wait_behind_it() {
    let database = Database::empty().await;
    let mut client = database.client().await;
    at_version_5(&client).await;
    let dba = database.client().await;
    dba.batch_execute("set application_name = 'a DBA''s desk'; begin; lock table rowbell.message")
        .await
        .unwrap();
    let began = std::time::Instant::now();
    let refused = chain(&migrate::migrate(&mut client).await.unwrap_err());
    let waited = began.elapsed();
    assert!(waited < std::time::Duration::from_secs(15), "others waited for {waited:?}");
    let process: i32 = dba.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    for part in [
        "a lock was held for more than 3 seconds by".to_owned(),
        format!("process {process} (application \"a DBA's desk\", role "),
        ", in a transaction since 20".to_owned(),
        format!("end it with `select pg_terminate_backend({process})`, and try again"),
    ] {
        assert!(refused.contains(&part), "{part}: {refused}");
    }
    dba.batch_execute("commit").await.unwrap();
    migrate::migrate(&mut client).await.unwrap();
    migrate::check_version(&client).await.unwrap();
}
