//! `bench idle`: what the daemon costs while nothing happens, and how soon it listens.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench::report::{Report, machine, round};
use crate::demo::testbed::{Testbed, TestbedOptions, connect};
use crate::sandbox::SandboxOptions;

/// How long the daemon may take to come to rest, until each of its connections knows the statements that it
/// asks, and the server to count what was done until then.
const COME_TO_REST: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct IdleArgs {
    /// How long to look.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
}

pub async fn run(exe: &Path, args: IdleArgs) -> anyhow::Result<Report> {
    let testbed = Testbed::raise(exe, TestbedOptions::default(), SandboxOptions::default()).await?;
    // From another database, so that looking is not counted.
    let outside = connect(&testbed.cluster.url("postgres")).await?;
    // What the server does for itself is not counted either.
    outside.batch_execute("alter system set autovacuum = off").await?;
    outside.batch_execute("select pg_reload_conf()").await?;
    let daemon = testbed.daemon().await?;
    tokio::time::sleep(COME_TO_REST).await;
    let queries = "select xact_commit + xact_rollback from pg_stat_database where datname = 'crm'";
    let (cpu, began) = (daemon.usage()?.cpu, Instant::now());
    let before: i64 = outside.query_one(queries, &[]).await?.get(0);
    tokio::time::sleep(Duration::from_secs(u64::from(args.seconds))).await;
    let after: i64 = outside.query_one(queries, &[]).await?.get(0);
    let (usage, seconds) = (daemon.usage()?, began.elapsed().as_secs_f64());
    let start = daemon.start_time;
    daemon.stop().await?;
    let mut report = Report::new("bench idle", machine(&outside).await?);
    report.row("rss_mib", round(usage.rss_kib as f64 / 1024.0, 1));
    let share = usage.cpu.saturating_sub(cpu).as_secs_f64() / seconds * 100.0;
    report.row("cpu_percent", round(share, 1));
    report.row("queries_per_second", round((after - before) as f64 / seconds, 2));
    report.row("start_ms", round(start.as_secs_f64() * 1e3, 0));
    report.note(&format!("over {seconds:.0} s, with a webhook and two watches"));
    Ok(report)
}
