//! What each statement of the daemon cost the server, by pg_stat_statements.

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::bench::report::round;

/// The settings of a server that counts statements.
pub fn settings() -> Vec<(String, String)> {
    [
        ("shared_preload_libraries", "pg_stat_statements"),
        ("pg_stat_statements.track_planning", "on"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Begins to count.
pub async fn begin(client: &Client) -> Result<(), tokio_postgres::Error> {
    client
        .batch_execute(
            "create extension if not exists pg_stat_statements; select pg_stat_statements_reset()",
        )
        .await
}

/// The dearest statements since `begin`, with their cost a message.
pub async fn dearest(client: &Client, messages: f64) -> Result<Value, tokio_postgres::Error> {
    let rows = client
        .query(
            "select query, calls, rows, total_exec_time + total_plan_time as ms, total_plan_time as plan_ms,
                    wal_bytes::bigint as wal, shared_blks_hit as hit, shared_blks_dirtied as dirtied
             from pg_stat_statements
             where total_exec_time > 0 and query not like '%pg_stat_statements%'
             order by ms desc limit 30",
            &[],
        )
        .await?;
    let each = |total: f64| round(total / messages, 2);
    let lines = rows.iter().map(|row| {
        json!({
            "us_per_message": each(row.get::<_, f64>("ms") * 1000.0),
            "plan_us_per_message": each(row.get::<_, f64>("plan_ms") * 1000.0),
            "wal_bytes_per_message": each(row.get::<_, i64>("wal") as f64),
            "buffers_per_message": each(row.get::<_, i64>("hit") as f64),
            "dirtied_per_message": each(row.get::<_, i64>("dirtied") as f64),
            "calls": row.get::<_, i64>("calls"),
            "rows": row.get::<_, i64>("rows"),
            "statement": short(row.get("query")),
        })
    });
    Ok(lines.collect())
}

/// The beginning of a statement, without its comments, in one line.
fn short(query: &str) -> String {
    let code = query.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<&str> = code.flat_map(str::split_whitespace).collect();
    words.join(" ").chars().take(100).collect()
}
