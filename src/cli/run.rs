//! `rowbell run`: the daemon, as systemd wants one.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{App, AppError};
use crate::cli::error::CliError;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::check::check_secrets;
use crate::error_chain::chain;
use crate::telemetry;

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Record messages instead of sending them, on all channels.
    #[arg(long)]
    dry_run: bool,
}

/// Runs until SIGTERM or SIGINT, then finishes what is in flight.
pub async fn run(args: &RunArgs, mut config: Config) -> Result<(), CliError> {
    config.installation.dry_run |= args.dry_run;
    telemetry::start(&config.log)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        environment = config.installation.environment,
        watches = config.watch.len(),
        channels = config.channel.len(),
        "starting"
    );
    let dry = config.dry_run_channels().join(", ");
    if !dry.is_empty() {
        tracing::warn!(
            channels = dry,
            "DRY RUN: nothing is sent on these channels, messages are recorded"
        );
    }
    let only_to = config.only_to().map(|list| list.len());
    if let Some(recipients) = only_to {
        tracing::warn!(
            recipients,
            "ONLY TO: messages leave for the recipients of installation.only_to; everybody else is skipped"
        );
    }
    for open in check_secrets::open_secrets(&config) {
        tracing::warn!("{open}");
    }
    tell(&[NotifyState::Status("Starting")]);
    let stop = stop_on_signal().map_err(anyhow::Error::from)?;
    let Some(app) = build(&config, &stop).await? else {
        tracing::info!("stopped");
        return Ok(());
    };
    let ended = app.run(stop, move || ready(&dry, only_to)).await;
    tracing::info!("stopped");
    Ok(ended?)
}

/// The daemon; None: it was stopped before. Under a service manager a database that is away is waited for here: a
/// daemon that ends and is started again every few seconds fills the journal. By hand it is an error.
async fn build(config: &Config, stop: &CancellationToken) -> Result<Option<App>, CliError> {
    let mut said = String::new();
    loop {
        let error = match App::build(config.clone(), Clock::system()).await {
            Ok(app) => return Ok(Some(app)),
            Err(error) => error,
        };
        let is_away = matches!(error, AppError::Pool(_));
        if !is_away || std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Err(error.into());
        }
        let error = chain(&error);
        if error != said {
            tracing::warn!(error, "the database cannot be used; waiting for it");
            said = error;
        }
        let longer = NotifyState::ExtendTimeoutUsec(LONGEST_LOOK);
        tell(&[NotifyState::Status("Waiting for the database"), longer]);
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// How often a database that is away is looked for at the start.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the service manager waits for the next sign of life meanwhile, in microseconds.
const LONGEST_LOOK: u32 = 120_000_000;

fn ready(dry: &str, only_to: Option<usize>) {
    tracing::info!("ready");
    let mut status = "Listening".to_owned();
    if !dry.is_empty() {
        status += &format!("; DRY RUN on {dry}");
    }
    if let Some(recipients) = only_to {
        status += &format!("; ONLY TO {recipients} recipients");
    }
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = hung_up(&mut hangup) => {}
        }
        tracing::info!("stopping: finishing what is in flight");
        tell(&[NotifyState::Stopping, NotifyState::Status("Finishing what is in flight")]);
        stopping.cancel();
    });
    Ok(stop)
}

/// A terminal that is closed ends us like Ctrl-C. Elsewhere SIGHUP is sent by those who have changed the
/// configuration: it would kill us in the middle of requests, and systemd would take that for a clean end.
async fn hung_up(hangup: &mut Signal) {
    while hangup.recv().await.is_some() {
        if std::io::stderr().is_terminal() {
            return;
        }
        tracing::warn!(
            "SIGHUP does nothing: the configuration is read at the start, so restart rowbell"
        );
    }
}

/// Tells systemd, if there is one.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
