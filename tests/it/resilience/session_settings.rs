//! What the role, the database and the server are set to is theirs: rowbell's own sessions do not depend on it.

use rowbell::postgres::connection::pool;
use rowbell_lab::demo::testbed;
use tokio_postgres::error::SqlState;

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
    ("plan_cache_mode", "'force_custom_plan'"),
    ("enable_indexscan", "off"),
    ("enable_indexonlyscan", "off"),
    ("enable_nestloop", "off"),
    ("enable_seqscan", "on"),
    ("enable_hashjoin", "on"),
    ("enable_mergejoin", "on"),
    ("jit", "on"),
];

/// Settings that are left as they are, because no statement of ours depends on them.
const HARMLESS: [(&str, &str); 34] = [
    ("session_replication_role", "replica"),
    ("temp_tablespaces", "'nowhere'"),
    ("default_tablespace", "''"),
    ("check_function_bodies", "off"),
    ("escape_string_warning", "off"),
    ("backslash_quote", "off"),
    ("gin_fuzzy_search_limit", "1"),
    ("default_toast_compression", "'pglz'"),
    ("default_table_access_method", "'heap'"),
    ("default_text_search_config", "'simple'"),
    ("default_statistics_target", "1"),
    ("lc_messages", "'C'"),
    ("lc_monetary", "'C'"),
    ("lc_numeric", "'C'"),
    ("lc_time", "'C'"),
    ("work_mem", "'64kB'"),
    ("temp_buffers", "'800kB'"),
    ("maintenance_work_mem", "'1MB'"),
    ("hash_mem_multiplier", "1"),
    ("from_collapse_limit", "1"),
    ("join_collapse_limit", "1"),
    ("geqo_threshold", "2"),
    ("cursor_tuple_fraction", "0"),
    ("constraint_exclusion", "on"),
    ("max_parallel_workers_per_gather", "8"),
    ("parallel_setup_cost", "0"),
    ("random_page_cost", "1000"),
    ("enable_partition_pruning", "off"),
    ("enable_memoize", "off"),
    ("lo_compat_privileges", "on"),
    ("log_statement", "'all'"),
    ("track_activities", "off"),
    ("synchronize_seqscans", "off"),
    ("application_name", "'theirs'"),
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

/// The application is told as well.
const HOOK: &str = r#"
[[watch.home_delivery.outcome]]
states = ["sent"]
sql = "insert into noted values ($message)"
"#;

/// graphile/worker #273 and its kin. The whole way of a message, under each of them.
#[tokio::test]
async fn no_setting_of_the_role_reaches_our_sessions() {
    none_reaches_us("role").await;
}

#[tokio::test]
async fn no_setting_of_the_database_reaches_our_sessions() {
    none_reaches_us("database").await;
}

async fn none_reaches_us(owner: &str) {
    let schema = format!("{SHOP} create table noted (message bigint);");
    let config = CONFIG.replace("\"20s\"", "\"0s\"") + HOOK;
    let mut world = World::over(&schema, &config, "").await;
    let untouched = as_set(&world).await;
    let admin = testbed::connect(&world.cluster.url("template1")).await.unwrap();
    let mut told = 0;
    for (name, value) in SETTINGS.into_iter().chain(HARMLESS) {
        let alter = format!("alter {owner} postgres set {name} = {value}");
        match admin.batch_execute(&alter).await {
            // A setting of a later version.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => continue,
            done => done.unwrap(),
        }
        let mut ours = as_set(&world).await;
        // It stands for where names are sought; ours come last.
        if name == "search_path" {
            let known = ours.iter_mut().find(|one| one.starts_with(name)).unwrap();
            *known = known.replace("\"\", ", "\"$user\", public, ");
        }
        assert_eq!(ours, untouched, "{alter}");
        world.restart().await;
        told += 1;
        world.sql(&format!("update delivery set address = 'Street {told}' where id = 1")).await;
        world.work().await;
        assert_eq!(world.read(MARIA).len(), told, "{alter}: {:?}", world.messages().await);
        let noted = "select count(*) from noted";
        assert_eq!(world.value(noted).await, told.to_string(), "{alter}: an outcome was not noted");
        admin.batch_execute(&format!("alter {owner} postgres reset {name}")).await.unwrap();
    }
    // A session that was opened meanwhile is one of the business, as they want it.
    let theirs = world.value("current_setting('default_transaction_isolation')").await;
    assert_eq!(theirs, "read committed");
}
