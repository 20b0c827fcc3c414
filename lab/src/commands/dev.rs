//! `rowbell-lab dev`: one's own configuration against the simulator, and a phone in the browser.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use rowbell::config::load;
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::sandbox;
use crate::dev::dev::Dev;

#[derive(Debug, Args)]
pub struct DevArgs {
    /// The configuration; its database should be one for trying, with `migrate` and `watch` done.
    #[arg(long, value_name = "FILE", default_value = load::DEFAULT_PATH)]
    config: PathBuf,
    /// Where the page with the phone is; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8472")]
    listen: SocketAddr,
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(args: &DevArgs, exe: &Path) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let channels = sandbox::of_site(&load::load(&args.config)?)?;
    let dev = Dev::start(exe, &args.config, channels, args.listen)
        .await
        .with_context(|| format!("could not run {}", args.config.display()))?;
    println!(
        "the phone    {}\nthe daemon   logs to {}\n\nChange a row that is watched, and look at the phone. Nothing is sent to anybody. A \
         database that was installed for another environment sends nothing here either: `rowbell status` says so.\n\
         Ctrl-C ends it.",
        dev.url,
        dev.log().display()
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
