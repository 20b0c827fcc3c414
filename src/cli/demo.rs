//! `rowbell demo`: the whole job on a throwaway database.

use std::time::Duration;

use super::CliError;
use crate::config::units;
use crate::demo::play;

#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Stop by itself after this time, such as 30s; otherwise Ctrl-C stops it.
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration_of)]
    length: Option<Duration>,
    /// End with one line of JSON that holds the counts.
    #[arg(long)]
    json: bool,
}

/// Plays; fails when something was lost or doubled.
pub async fn run(args: &DemoArgs) -> Result<(), CliError> {
    let exe = std::env::current_exe().map_err(anyhow::Error::from)?;
    let counts = play::run(&exe, args.length).await?;
    if args.json {
        println!("{}", serde_json::to_string(&counts).map_err(anyhow::Error::from)?);
    }
    if counts.lost + counts.duplicates > 0 {
        return Err(anyhow::anyhow!("{} lost, {} doubled", counts.lost, counts.duplicates).into());
    }
    Ok(())
}
