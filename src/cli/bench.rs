//! `rowbell bench`: measurements that anybody can repeat, each on a throwaway cluster with default
//! durability.

use clap::Subcommand;

use super::CliError;
use crate::bench::drain::{self, DrainArgs};

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
    /// Messages a second from a full backlog, through the whole job.
    Drain(DrainArgs),
}

/// Runs one benchmark and prints its report.
pub async fn run(args: &BenchArgs) -> Result<(), CliError> {
    let exe = std::env::current_exe().map_err(anyhow::Error::from)?;
    let report = match &args.what {
        What::Drain(args) => drain::run(&exe, *args).await?,
    };
    report.print(args.json);
    Ok(())
}
