//! `bench latency`: from the commit of a change to the arrival of its message at the provider, at a
//! low rate, with a quiet period of 0.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::bench::report::{Report, machine, round};
use crate::bench::statements;
use crate::demo::testbed::{Testbed, TestbedOptions};
use crate::sandbox::{ReceiptOptions, SandboxOptions};
use rowbell::clock::Clock;

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct LatencyArgs {
    /// Changes a second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: u32,
    /// How long.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// What each statement costs the server, by pg_stat_statements (which costs some time itself).
    #[arg(long)]
    pub statements: bool,
}

pub async fn run(exe: &Path, args: LatencyArgs) -> anyhow::Result<Report> {
    let count = args.rate * args.seconds;
    let mut options = TestbedOptions {
        customers: 1_000,
        deliveries: u64::from(count) + 100,
        rate: "1000000/s".to_owned(),
        quiet_period: "0s".to_owned(),
        webhook: false,
        ..TestbedOptions::default()
    };
    if args.statements {
        options.cluster.settings = statements::settings();
    }
    let provider = SandboxOptions { receipts: ReceiptOptions::none(), ..SandboxOptions::default() };
    let testbed = Testbed::raise(exe, options, provider).await?;
    let client = testbed.connect().await?;
    client.batch_execute("update customer set whatsapp_opt_in = true").await?;
    let daemon = testbed.daemon().await?;
    let clock = Clock::system();
    let statement = client.prepare("update delivery set address = $2 where id = $1").await?;
    // The first messages warm up connections, plans and words.
    for i in 0..100_i64 {
        client.execute(&statement, &[&(i64::from(count) + 1 + i), &format!("warm {i}")]).await?;
    }
    testbed.sandbox.wait_for(100, Duration::from_secs(30)).await?;
    if args.statements {
        statements::begin(&client).await?;
    }
    let before = daemon.usage()?.cpu;
    let mut committed: HashMap<String, Timestamp> = HashMap::new();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / args.rate);
    for i in 1..=i64::from(count) {
        ticks.tick().await;
        let address = format!("n{i}");
        client.execute(&statement, &[&i, &address]).await?;
        committed.insert(address, clock.now());
    }
    testbed.sandbox.wait_for(100 + u64::from(count), Duration::from_secs(30)).await?;
    let cpu = daemon.usage()?.cpu.saturating_sub(before);
    daemon.stop().await?;

    let mut waits: Vec<f64> = Vec::with_capacity(committed.len());
    for message in testbed.sandbox.all_seen() {
        let told = message
            .parameters
            .last()
            .and_then(|text| text.trim_end_matches('.').rsplit(' ').next());
        if let Some(at) = told.and_then(|address| committed.remove(address)) {
            waits.push(message.received_at.duration_since(at).as_secs_f64() * 1e3);
        }
    }
    anyhow::ensure!(committed.is_empty(), "{} changes were not told", committed.len());
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].max(0.0);
    let mut report = Report::new("bench latency (commit to arrival)", machine(&client).await?);
    report.row("p50_ms", round(at(0.50), 2));
    report.row("p99_ms", round(at(0.99), 2));
    if args.statements {
        report.row("statements", statements::dearest(&client, f64::from(count)).await?);
    }
    report.note(&format!(
        "{} changes a second for {} s; the daemon used {:.1} % of one core",
        args.rate,
        args.seconds,
        cpu.as_secs_f64() / f64::from(args.seconds) * 100.0
    ));
    Ok(report)
}
