//! `bench write`: what the trigger and the doorbell cost the business's own writers.
//!
//! pgbench updates one row of 100,000 in each transaction. The cells of one repeat follow each other,
//! so that a noisy machine meets all of them; the figure is the median over the repeats. No daemon
//! runs: the bell stands as an awake daemon leaves it, or parked where every commit is to ring.

use std::collections::BTreeMap;
use std::path::Path;

use tokio_postgres::Client;

use crate::bench::report::{Report, machine, round};
use crate::demo::testbed::{Testbed, TestbedOptions};
use crate::sandbox::SandboxOptions;
use rowbell::config::load;
use rowbell::postgres::capture::install;

/// Rows of the table.
const ROWS: u64 = 100_000;

/// The least that a trigger can do.
const EMPTY: &str = "
    create or replace function nothing() returns trigger language plpgsql as 'begin return null; end';
    create trigger empty after update on delivery for each row execute function nothing()";

/// The watch of the testbed that is measured.
const WATCH: &str = "home_delivery";

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct WriteArgs {
    /// Seconds of one cell.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// How often every cell is measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeats: u32,
    /// What one change costs its writer, part by part, in microseconds: one connection only.
    #[arg(long)]
    pub parts: bool,
}

/// What stands between a writer and its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    /// No trigger.
    None,
    /// A trigger that does nothing: what no trigger goes below.
    Empty,
    /// Our trigger, the daemon awake.
    Ours,
    /// Our trigger without a bell.
    Outbox,
    /// Our trigger, and a NOTIFY at every commit.
    Notify,
    /// Our trigger, and an update that touches no watched column.
    Unwatched,
}

impl Variant {
    /// What is measured for the parts of a capture.
    const PARTS: [Variant; 6] = [
        Variant::None,
        Variant::Empty,
        Variant::Unwatched,
        Variant::Outbox,
        Variant::Ours,
        Variant::Notify,
    ];

    const ALL: [Variant; 6] = [
        Variant::None,
        Variant::Empty,
        Variant::Ours,
        Variant::Outbox,
        Variant::Notify,
        Variant::Unwatched,
    ];

    fn name(self) -> &'static str {
        match self {
            Variant::None => "none",
            Variant::Empty => "empty",
            Variant::Ours => "ours",
            Variant::Outbox => "outbox",
            Variant::Notify => "notify",
            Variant::Unwatched => "unwatched",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Variant::Unwatched => {
                "\\set id random(1, 100000)\nupdate delivery set driver_note = 'n', updated_at = now() where id = :id;\n"
            }
            _ => {
                "\\set id random(1, 100000)\nupdate delivery set window_start = window_start + interval '1 minute', \
                 window_end = window_end + interval '1 minute', updated_at = now() where id = :id;\n"
            }
        }
    }
}

pub async fn run(exe: &Path, args: WriteArgs) -> anyhow::Result<Report> {
    let options = TestbedOptions {
        customers: 1_000,
        deliveries: ROWS,
        webhook: false,
        ..TestbedOptions::default()
    };
    let testbed = Testbed::raise(exe, options, SandboxOptions::default()).await?;
    let mut client = testbed.connect().await?;
    let mut cells: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    if args.parts {
        for _ in 0..args.repeats {
            for variant in Variant::PARTS {
                let tps = cell(&testbed, &mut client, variant, 1, args.seconds).await?;
                cells.entry(variant.name().to_owned()).or_default().push(tps);
            }
        }
        return report_parts(&client, &cells, args).await;
    }
    for _ in 0..args.repeats {
        for connections in [1, 8, 32] {
            for variant in Variant::ALL {
                let tps = cell(&testbed, &mut client, variant, connections, args.seconds).await?;
                cells.entry(format!("{}_{connections}", variant.name())).or_default().push(tps);
            }
        }
    }
    // A flush that takes a millisecond, as on a cloud disk.
    let slow = [
        "alter system set commit_delay = 1000",
        "alter system set commit_siblings = 0",
        "select pg_reload_conf()",
    ];
    for statement in slow {
        client.batch_execute(statement).await?;
    }
    for _ in 0..args.repeats {
        for variant in [Variant::Ours, Variant::Notify] {
            let tps = cell(&testbed, &mut client, variant, 32, args.seconds).await?;
            cells.entry(format!("slow_{}_32", variant.name())).or_default().push(tps);
        }
    }
    report(&client, cells, args).await
}

/// What each part of a capture adds to a transaction.
async fn report_parts(
    client: &Client,
    cells: &BTreeMap<String, Vec<f64>>,
    args: WriteArgs,
) -> anyhow::Result<Report> {
    let mut report = Report::new("bench write --parts (microseconds)", machine(client).await?);
    let us = |variant: Variant| 1e6 / median(cells.get(variant.name()));
    let parts = [
        ("transaction", us(Variant::None)),
        ("firing_a_trigger", us(Variant::Empty) - us(Variant::None)),
        ("finding_no_difference", us(Variant::Unwatched) - us(Variant::Empty)),
        ("recording_a_change", us(Variant::Outbox) - us(Variant::Empty)),
        ("looking_at_the_bell", us(Variant::Ours) - us(Variant::Outbox)),
        ("ringing_it", us(Variant::Notify) - us(Variant::Ours)),
    ];
    for (name, cost) in parts {
        report.row(name, round(cost, 1));
    }
    report.note(&format!(
        "median of {} repeats of {} s, one connection. An update of no watched column also updates less: its part \
         may be below nothing",
        args.repeats, args.seconds
    ));
    Ok(report)
}

async fn report(
    client: &Client,
    cells: BTreeMap<String, Vec<f64>>,
    args: WriteArgs,
) -> anyhow::Result<Report> {
    let mut report = Report::new("bench write (transactions a second)", machine(client).await?);
    for connections in [1, 8, 32] {
        for variant in Variant::ALL {
            let name = format!("{}_{connections}", variant.name());
            report.row(&name, median(cells.get(&name)).round());
        }
    }
    for name in ["slow_ours_32", "slow_notify_32"] {
        report.row(name, median(cells.get(name)).round());
    }
    let ratio = |a: &str, b: &str| report.figure(a) / report.figure(b);
    let ratios = format!(
        "ratios: ours/none {:.2} at 8; ours/outbox {:.2} at 8, {:.2} at 32; unwatched/none {:.2} at 8, empty/none {:.2}; \
         1 ms flush: ours/notify {:.1} at 32",
        ratio("ours_8", "none_8"),
        ratio("ours_8", "outbox_8"),
        ratio("ours_32", "outbox_32"),
        ratio("unwatched_8", "none_8"),
        ratio("empty_8", "none_8"),
        ratio("slow_ours_32", "slow_notify_32"),
    );
    report.note(&ratios);
    report.note(&format!(
        "median of {} repeats of {} s; pgbench -M prepared over the unix socket; slow: commit_delay = 1000, commit_siblings = 0",
        args.repeats, args.seconds
    ));
    Ok(report)
}

async fn cell(
    testbed: &Testbed,
    client: &mut Client,
    variant: Variant,
    connections: u32,
    seconds: u32,
) -> anyhow::Result<f64> {
    set_up(testbed, client, variant).await?;
    let script = testbed.cluster.socket_folder().join("write.pgbench");
    std::fs::write(&script, variant.script())?;
    let mut pgbench = testbed.cluster.program("pgbench");
    pgbench.args(["-n", "-M", "prepared", "-U", "postgres", "-j", "2"]);
    pgbench.args(["-c", &connections.to_string(), "-T", &seconds.to_string()]);
    pgbench.arg("-h").arg(testbed.cluster.socket_folder());
    pgbench.args(["-p", &testbed.cluster.port().to_string(), "-f"]).arg(&script).arg("crm");
    let output = tokio::task::spawn_blocking(move || pgbench.output()).await??;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = "));
    tps.and_then(|tps| tps.split_whitespace().next()?.parse().ok()).ok_or_else(|| {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::anyhow!("pgbench gave no figure: {said}{error}")
    })
}

async fn set_up(testbed: &Testbed, client: &mut Client, variant: Variant) -> anyhow::Result<()> {
    let config = load::load(&testbed.config_file())?;
    let watch = config.watch.get(WATCH).cloned();
    let mut watch = watch.ok_or_else(|| anyhow::anyhow!("the testbed has no watch {WATCH}"))?;
    watch.ring = Some(variant != Variant::Outbox);
    let template = config.template.get(&watch.template).cloned();
    let template = template.ok_or_else(|| anyhow::anyhow!("the watch has no template"))?;
    let table = install::describe(client, WATCH, &watch, &template).await?;
    install::remove(client, WATCH).await?;
    client.batch_execute("drop trigger if exists empty on delivery").await?;
    match variant {
        Variant::None => {}
        Variant::Empty => client.batch_execute(EMPTY).await?,
        _ => {
            install::install(client, &table, &watch).await?;
        }
    }
    let bell = if variant == Variant::Notify { 2 } else { 1 };
    // Every cell starts from the same table, the same WAL position, and an empty outbox.
    let bell = format!("select setval('rowbell.doorbell', {bell})");
    for statement in ["truncate rowbell.change", &bell, "vacuum delivery", "checkpoint"] {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

/// The middle of the figures; 0 without any.
pub fn median(figures: Option<&Vec<f64>>) -> f64 {
    let mut figures = figures.cloned().unwrap_or_default();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}
