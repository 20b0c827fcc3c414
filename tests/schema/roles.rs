//! Who may do what.

use rowbell::pipeline::context::context::CompiledWatch;
use rowbell::postgres::capture::{install, proof};
use rowbell::postgres::schema::migrate;
use rowbell::postgres::schema::roles::{self, Reader};
use rowbell_lab::demo::cluster::{Cluster, ClusterOptions};
use tokio_postgres::Client;

use super::ground::{Database, HISTORY, SHOP, config, connect, lines, refusal, sql_files};

/// Plans a statement and checks its rights without running it.
async fn plan(client: &Client, sql: &str) -> Result<(), String> {
    let words = |error: tokio_postgres::Error| {
        error.as_db_error().map_or(error.to_string(), |db| db.message().to_owned())
    };
    let parameters = client.prepare(sql).await.map_err(words)?.params().len();
    let nulls = vec!["null"; parameters].join(", ");
    let execute =
        if parameters == 0 { "execute q".to_owned() } else { format!("execute q ({nulls})") };
    let sql = sql.trim_end().trim_end_matches(';');
    let all = format!("deallocate all; prepare q as {sql}; explain {execute}");
    client.batch_execute(&all).await.map_err(words)
}

/// A shop with its watch installed, and a session of a user in the daemon's role.
async fn shop() -> (Database, Client, Client) {
    let (database, mut owner) = Database::migrated().await;
    owner.batch_execute(SHOP).await.unwrap();
    let config = config();
    let (watch, template) = (&config.watch["delivery"], &config.template["service_change"]);
    let table = install::describe(&owner, "delivery", watch, template).await.unwrap();
    install::install(&mut owner, &table, watch).await.unwrap();
    let user = database.user("daemon", Some("rowbell_daemon")).await;
    let daemon = database.client_as(&user).await;
    (database, owner, daemon)
}

#[tokio::test]
async fn the_daemon_may_do_all_that_it_has_to() {
    let (_database, _owner, daemon) = shop().await;
    let queries = sql_files("queries");
    assert!(queries.len() > 25);
    for (name, sql) in queries {
        plan(&daemon, &sql).await.unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    migrate::check_version(&daemon).await.unwrap();
    // The doorbell: see postgres/connection/listener.rs and postgres/connection/session.rs.
    daemon
        .batch_execute(
            "listen rowbell; select setval('rowbell.doorbell', 2); select pg_notify('rowbell', 'x');
             select last_value from rowbell.change_change_id_seq; select pg_current_xact_id()",
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn the_daemon_may_do_no_more() {
    let (_database, owner, daemon) = shop().await;
    owner.batch_execute(HISTORY).await.unwrap();
    let granted = "grant usage on schema shop to rowbell_daemon; grant select on shop.delivery to rowbell_daemon";
    owner.batch_execute(granted).await.unwrap();
    daemon.batch_execute("select from shop.delivery").await.unwrap();
    let mut refused = String::new();
    for statement in [
        "drop table rowbell.message",
        "create table rowbell.mine ()",
        "update rowbell.message set first_changed_at = now()",
        "truncate rowbell.queue",
        "update rowbell.message set watch = 'other'",
        "update rowbell.attempt set started_at = now()",
        "update rowbell.receipt set status = 'read'",
        "update rowbell.opt_out set phone = '1'",
        "update rowbell.installation set schema_version = 1",
        "select from shop.salary",
        "update shop.delivery set status = 'x'",
    ] {
        refused += &format!("{statement}\n  {}\n", refusal(&daemon, statement).await);
    }
    insta::assert_snapshot!(refused, @r"
    drop table rowbell.message
      must be owner of table message
    create table rowbell.mine ()
      permission denied for schema rowbell
    update rowbell.message set first_changed_at = now()
      permission denied for table message
    truncate rowbell.queue
      permission denied for table queue
    update rowbell.message set watch = 'other'
      permission denied for table message
    update rowbell.attempt set started_at = now()
      permission denied for table attempt
    update rowbell.receipt set status = 'read'
      permission denied for table receipt
    update rowbell.opt_out set phone = '1'
      permission denied for table opt_out
    update rowbell.installation set schema_version = 1
      permission denied for table installation
    select from shop.salary
      permission denied for table salary
    update shop.delivery set status = 'x'
      permission denied for table delivery
    ");
}

/// The business's own tables are for their owner to grant; rowbell says which statements do it.
#[tokio::test]
async fn what_the_daemon_still_needs_is_told() {
    let (_database, mut owner, daemon) = shop().await;
    let config = config();
    let watching = CompiledWatch::look_up(&owner, &config, "delivery").await.unwrap();
    let queries = proof::statements(&watching.table, &watching.config);
    plan(&daemon, &watching.read_sql).await.unwrap_err();
    let unseen = CompiledWatch::look_up(&daemon, &config, "delivery").await.err().unwrap();
    insta::assert_snapshot!(unseen, @r"
    watch.delivery.table: found no table shop.delivery; it is there, but this user needs USAGE on its schema
    ");

    let needed = roles::missing_grants(&mut owner, &queries, Reader::Daemon).await.unwrap();
    insta::assert_snapshot!(needed.join("\n"), @r"
    grant usage on schema shop to rowbell_daemon
    grant select on shop.customer to rowbell_daemon
    grant select on shop.delivery to rowbell_daemon
    ");
    owner.batch_execute(&needed.join(";")).await.unwrap();

    assert_eq!(roles::missing_grants(&mut owner, &queries, Reader::Daemon).await.unwrap(), [""; 0]);
    let watching = CompiledWatch::look_up(&daemon, &config, "delivery").await.unwrap();
    plan(&daemon, &watching.read_sql).await.unwrap();
}

/// What is granted by column is granted; a view is read with its own right, and a function is called.
#[tokio::test]
async fn grants_name_views_and_functions_and_what_is_free_is_left_out() {
    let (_database, mut owner, _daemon) = shop().await;
    owner
        .batch_execute(
            "create view shop.address as select id, phone from shop.customer;
             create function shop.place(text) returns text language sql as 'select $1';
             revoke execute on function shop.place(text) from public;
             grant usage on schema shop to rowbell_daemon;
             grant select (id) on shop.customer to rowbell_daemon",
        )
        .await
        .unwrap();
    let queries = [
        "select a.phone, shop.place(a.phone) from shop.address as a where cardinality('{}'::jsonb[]) < 0",
        "select c.id, c.id from shop.customer as c",
        "select nothing from shop.nowhere",
    ];
    let queries = queries.map(str::to_owned);
    let needed = roles::missing_grants(&mut owner, &queries, Reader::Daemon).await.unwrap();
    insta::assert_snapshot!(needed.join("\n"), @r"
    grant execute on function shop.place(text) to rowbell_daemon
    grant select on shop.address to rowbell_daemon
    ");
}

#[tokio::test]
async fn a_clerk_without_rights_in_rowbell_changes_rows_and_is_recorded() {
    let (database, owner, _daemon) = shop().await;
    let clerk = database.user("clerk", None).await;
    let grants = format!(
        "grant usage on schema shop to {clerk}; grant select, update on shop.delivery to {clerk}"
    );
    owner.batch_execute(&grants).await.unwrap();
    let client = database.client_as(&clerk).await;
    client.batch_execute("update shop.delivery set status = 'packed' where id = 17").await.unwrap();
    let change =
        "select entity_key, changed_by = '{}', new_row ->> 'status' from rowbell.change_row";
    assert_eq!(lines(&owner, &change.replace("{}", &clerk)).await, "17 | t | packed");
    assert_eq!(
        refusal(&client, "select from rowbell.change").await,
        "permission denied for schema rowbell"
    );
}

/// A managed service: the owner of the schema may not create roles.
#[tokio::test]
async fn roles_that_a_dba_makes_later_get_their_rights_at_the_next_migrate() {
    // Roles belong to the server, so this needs one where nobody made them yet.
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(ClusterOptions::default()));
    let cluster = cluster.await.unwrap().unwrap();
    let dba = connect(&cluster.url("postgres")).await;
    dba.batch_execute("create role owner login").await.unwrap();
    dba.batch_execute("create database crm owner owner").await.unwrap();
    let mut owner = connect(&cluster.url_as("owner", "crm")).await;

    let applied = migrate::migrate(&mut owner).await.unwrap();
    insta::assert_snapshot!(applied.missing_roles.join("\n"), @r"
    create role rowbell_daemon nologin
    create role rowbell_analyst nologin
    create role rowbell_support nologin
    ");

    dba.batch_execute(&applied.missing_roles.join(";")).await.unwrap();
    dba.batch_execute("create role rowbell login in role rowbell_daemon").await.unwrap();
    let mut daemon = connect(&cluster.url_as("rowbell", "crm")).await;
    let needed = "select from rowbell.message";
    assert_eq!(refusal(&daemon, needed).await, "permission denied for schema rowbell");

    let again = migrate::migrate(&mut owner).await.unwrap();
    assert_eq!((again.names.len(), again.missing_roles.len()), (0, 0));
    daemon.batch_execute(needed).await.unwrap();

    // Who may not grant may still ask whether the schema is up to date.
    assert_eq!(migrate::migrate(&mut daemon).await.unwrap().names, [""; 0]);
}
