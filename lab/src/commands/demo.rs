//! `rowbell-lab demo`: the whole job on a throwaway database.

use std::path::Path;
use std::time::Duration;

use crate::demo::play;
use crate::demo::show::Voice;
use rowbell::config::units;

#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Stop by itself after this time, such as 30s; otherwise Ctrl-C stops it.
    #[arg(long = "for", value_name = "TIME", value_parser = units::duration_of)]
    length: Option<Duration>,
    /// Print the counts as one JSON object, and what goes on to standard error.
    #[arg(long)]
    json: bool,
}

/// Plays; fails when something was lost or doubled.
pub async fn run(args: &DemoArgs, exe: &Path) -> anyhow::Result<()> {
    let voice = if args.json { Voice::Error } else { Voice::Output };
    let counts = play::run(exe, args.length, voice).await?;
    if args.json {
        println!("{}", serde_json::to_string(&counts)?);
    }
    if counts.lost + counts.duplicates > 0 {
        anyhow::bail!("{} lost, {} doubled", counts.lost, counts.duplicates);
    }
    Ok(())
}
