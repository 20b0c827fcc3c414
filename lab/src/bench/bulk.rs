//! `bench bulk`: one statement that changes 100,000 rows, without the trigger and with it.

use std::path::Path;
use std::time::Instant;

use tokio_postgres::Client;

use crate::bench::report::{Report, machine, round};
use crate::bench::write::median;
use crate::demo::testbed::{Testbed, TestbedOptions};
use crate::sandbox::SandboxOptions;

const ROWS: u64 = 100_000;
const REPEATS: usize = 3;

const CHANGE_ALL: &str = "update delivery set window_start = window_start + interval '1 hour',
                                 window_end = window_end + interval '1 hour', updated_at = now()";

pub async fn run(exe: &Path) -> anyhow::Result<Report> {
    let options = TestbedOptions {
        customers: 1_000,
        deliveries: ROWS,
        webhook: false,
        ..TestbedOptions::default()
    };
    let testbed = Testbed::raise(exe, options, SandboxOptions::default()).await?;
    let client = testbed.connect().await?;
    let (mut none, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        testbed.command(&["unwatch", "home_delivery"])?;
        none.push(one(&client).await?);
        testbed.command(&["watch", "home_delivery"])?;
        ours.push(one(&client).await?);
    }
    let seconds = |runs: &[(f64, f64)]| median(Some(&runs.iter().map(|run| run.0).collect()));
    let bytes = |runs: &[(f64, f64)]| median(Some(&runs.iter().map(|run| run.1).collect()));
    let mut report =
        Report::new("bench bulk (one UPDATE of 100,000 rows)", machine(&client).await?);
    report.row("none_seconds", round(seconds(&none), 3));
    report.row("ours_seconds", round(seconds(&ours), 3));
    report.row("none_wal_bytes", bytes(&none));
    report.row("ours_wal_bytes", bytes(&ours));
    report.note(&format!(
        "ours/none: {:.1} times the seconds, {:.2} times the WAL; median of {REPEATS}, each after a checkpoint",
        seconds(&ours) / seconds(&none),
        bytes(&ours) / bytes(&none)
    ));
    Ok(report)
}

/// Seconds and bytes of WAL of the statement.
async fn one(client: &Client) -> anyhow::Result<(f64, f64)> {
    for statement in ["truncate rowbell.change", "vacuum full delivery", "checkpoint"] {
        client.batch_execute(statement).await?;
    }
    let position = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8";
    let before: f64 = client.query_one(position, &[]).await?.get(0);
    let began = Instant::now();
    client.batch_execute(CHANGE_ALL).await?;
    let seconds = began.elapsed().as_secs_f64();
    let after: f64 = client.query_one(position, &[]).await?.get(0);
    Ok((seconds, after - before))
}
