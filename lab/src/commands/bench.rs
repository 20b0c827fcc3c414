//! `rowbell-lab bench`: measurements that anybody can repeat, each on a throwaway cluster with default
//! durability.

use std::path::Path;

use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use crate::bench::behind;
use crate::bench::bulk;
use crate::bench::drain::{self, DrainArgs};
use crate::bench::idle::{self, IdleArgs};
use crate::bench::instructions::{self, InstructionsArgs};
use crate::bench::latency::{self, LatencyArgs};
use crate::bench::page::{self, PageArgs};
use crate::bench::report::Report;
use crate::bench::write::{self, WriteArgs};

#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
    /// One JSON object on the last line instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Transactions a second of the business's own writers, with and without the trigger.
    Write(WriteArgs),
    /// Messages a second from a full backlog, through the whole job.
    Drain(DrainArgs),
    /// From the commit of a change to the arrival of its message.
    Latency(LatencyArgs),
    /// Memory, CPU and queries while nothing happens.
    Idle(IdleArgs),
    /// Each view of the page over a long history, and what somebody who looks costs the sending.
    Page(PageArgs),
    /// Instructions of the daemon's own work for one message, counted by valgrind.
    Instructions(InstructionsArgs),
    /// One statement that changes 100,000 rows.
    Bulk,
    /// A change of another watch behind 100,000 changed rows, and a person's word about those.
    Behind,
}

/// Runs one benchmark and prints its report.
pub async fn run(args: &BenchArgs, exe: &Path) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = measure(exe, &args.what) => report?,
        // What was set up is dropped with the measurement.
        _ = interrupt.recv() => return Err(stopped()),
        _ = terminate.recv() => return Err(stopped()),
    };
    report.print(args.json);
    Ok(())
}

async fn measure(exe: &Path, what: &What) -> anyhow::Result<Report> {
    match what {
        What::Write(args) => write::run(exe, *args).await,
        What::Latency(args) => latency::run(exe, *args).await,
        What::Idle(args) => idle::run(exe, *args).await,
        What::Page(args) => page::run(exe, *args).await,
        What::Instructions(args) => instructions::run(args).await,
        What::Behind => behind::run(exe).await,
        What::Bulk => bulk::run(exe).await,
        What::Drain(args) => drain::run(exe, *args).await,
    }
}

fn stopped() -> anyhow::Error {
    anyhow::anyhow!("stopped before there was a figure")
}
