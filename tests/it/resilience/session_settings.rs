//! What the role, the database and the server are set to is theirs: rowbell's own sessions do not depend on it.

use rowbell::postgres::connection::pool;
use rowbell_lab::demo::testbed;

use crate::harness::{CONFIG, MARIA, SHOP, World};

/// Settings under which statements mean something else, fail, or look different; each is fatal to something.
const SETTINGS: [(&str, &str); 30] = [
    ("default_transaction_isolation", "'serializable'"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("search_path", "''"),
    ("lock_timeout", "'1ms'"),
    ("statement_timeout", "'1ms'"),
    ("idle_in_transaction_session_timeout", "'1ms'"),
    ("synchronous_commit", "off"),
    ("TimeZone", "'Asia/Kathmandu'"),
    ("DateStyle", "'German, DMY'"),
    ("IntervalStyle", "'iso_8601'"),
    ("extra_float_digits", "-15"),
    ("bytea_output", "'escape'"),
    ("client_encoding", "'LATIN1'"),
    ("xmlbinary", "'hex'"),
    ("xmloption", "'document'"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("standard_conforming_strings", "off"),
    ("quote_all_identifiers", "on"),
    ("row_security", "on"),
    ("client_min_messages", "'debug5'"),
    ("plan_cache_mode", "'force_generic_plan'"),
    ("enable_indexscan", "off"),
    ("enable_indexonlyscan", "off"),
    ("enable_nestloop", "off"),
    ("enable_seqscan", "on"),
    ("enable_hashjoin", "on"),
    ("enable_mergejoin", "on"),
    ("jit", "on"),
];

/// What every session of ours says of them.
async fn as_set(world: &World) -> Vec<String> {
    let pool = pool::connect(&world.config.database).unwrap();
    let client = pool.get().await.unwrap();
    let mut all = Vec::new();
    for (name, _) in SETTINGS {
        let row = client.query_one("select current_setting($1)", &[&name]).await.unwrap();
        all.push(format!("{name} = {}", row.get::<_, String>(0)));
    }
    all
}

/// graphile/worker #273 and its kin. The whole way of a message, under each of them.
#[tokio::test]
async fn no_setting_of_role_or_database_reaches_our_sessions() {
    let mut world = World::over(SHOP, &CONFIG.replace("\"20s\"", "\"0s\""), "").await;
    let untouched = as_set(&world).await;
    let admin = testbed::connect(&world.cluster.url("template1")).await.unwrap();
    for (number, (name, value)) in SETTINGS.into_iter().enumerate() {
        let owner = if number % 2 == 0 { "role postgres" } else { "database postgres" };
        admin.batch_execute(&format!("alter {owner} set {name} = {value}")).await.unwrap();
        let mut ours = as_set(&world).await;
        // It stands for where names are sought; ours come last.
        if name == "search_path" {
            ours[number] = ours[number].replace("\"\", ", "\"$user\", public, ");
        }
        assert_eq!(ours, untouched, "alter {owner} set {name} = {value}");
        world.restart().await;
        world.sql(&format!("update delivery set address = 'Street {number}' where id = 1")).await;
        world.work().await;
        assert_eq!(world.read(MARIA).len(), number + 1, "alter {owner} set {name} = {value}");
        admin.batch_execute(&format!("alter {owner} reset {name}")).await.unwrap();
    }
    // A session that was opened meanwhile is one of the business, as they want it.
    let theirs = world.value("current_setting('default_transaction_isolation')").await;
    assert_eq!(theirs, "read committed");
}
