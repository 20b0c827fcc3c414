//! `rowbell run`: the daemon, as a service manager wants one.
//!
//! SIGHUP reads the configuration again. What is new is built beside what runs, as a second daemon of the same database
//! would be: channels are handed over between the two as between any, both take webhooks from the same socket, and the
//! old one stops in order once the new one listens. So no message is lost, no webhook is refused, and a configuration
//! that cannot be used changes nothing.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::app::{App, AppError, Sockets};
use crate::cli::error::CliError;
use crate::cli::service::Service;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::load;
use crate::domain::notice;
use crate::error_chain::chain;
use crate::telemetry;

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Record messages instead of sending them, on all channels.
    #[arg(long)]
    dry_run: bool,
}

/// How often a database that is away is looked for at the start.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a daemon with a new configuration may take until it listens, before the old one stays.
const TAKE_OVER: Duration = Duration::from_secs(60);

/// Runs until SIGTERM or SIGINT, then finishes what is in flight.
pub async fn run(args: &RunArgs, path: &Path, config: Config) -> Result<(), CliError> {
    telemetry::start(&config.log)?;
    let mut sockets = Sockets::from_service_manager().map_err(anyhow::Error::from)?;
    let config = settled(config, args, &sockets);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        environment = config.installation.environment,
        watches = config.watch.len(),
        channels = config.channel.len(),
        "starting"
    );
    warn(&config);
    let service = Service::start(&config);
    let stop = stop_on_signal(service.clone()).map_err(anyhow::Error::from)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(anyhow::Error::from)?;
    let Some(app) = build(&config, &stop, &service, &mut sockets).await? else {
        tracing::info!("stopped");
        return Ok(());
    };
    let mut daemon = Daemon::start(app, config, &service);
    let ended = loop {
        tokio::select! {
            ended = &mut daemon.task => break ended,
            () = stop.cancelled() => {
                daemon.stop.cancel();
                break (&mut daemon.task).await;
            }
            Ok(()) = &mut daemon.is_ready, if !daemon.was_ready => {
                daemon.was_ready = true;
                tracing::info!("ready");
                service.ready(&daemon.config, notes(&daemon.config));
            }
            Some(()) = hangup.recv() => {
                if hung_up() {
                    service.stopping();
                    stop.cancel();
                } else if let Some(next) = reload(args, path, &daemon, &service, &mut sockets, &stop).await {
                    daemon.retire().await;
                    daemon = next;
                    service.replaced();
                    let settings = &daemon.config;
                    sockets.keep_only(&[
                        &settings.webhook.listen,
                        &settings.metrics.listen,
                        &settings.page.listen,
                    ]);
                    tracing::info!("the configuration was read again and is in force");
                    reloads("taken").increment(1);
                    service.ready(&daemon.config, notes(&daemon.config));
                }
            }
        }
    };
    tracing::info!("stopped");
    ended.map_err(AppError::Stage)?.map_err(CliError::from)
}

/// One configuration at work.
struct Daemon {
    config: Config,
    stop: CancellationToken,
    task: JoinHandle<Result<(), AppError>>,
    is_ready: oneshot::Receiver<()>,
    was_ready: bool,
}

impl Daemon {
    fn start(app: App, config: Config, service: &Service) -> Daemon {
        let stop = CancellationToken::new();
        let (ready, is_ready) = oneshot::channel();
        service.runs(app.health());
        let tell = move || {
            // Nobody waits for it any more once the daemon is stopped.
            let _ = ready.send(());
        };
        let task = tokio::spawn(app.run(stop.clone(), tell));
        Daemon { config, stop, task, is_ready, was_ready: false }
    }

    /// Finishes what is in flight; another one works already.
    async fn retire(self) {
        self.stop.cancel();
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(target: notice::DAEMON_ENDED_BADLY, error = chain(&error), "what ran before ended with an error");
            }
            Err(error) => {
                tracing::error!(target: notice::DAEMON_ENDED_BADLY, %error, "what ran before ended unexpectedly")
            }
        }
    }
}

/// What the command line and the service manager add to the configuration.
fn settled(mut config: Config, args: &RunArgs, sockets: &Sockets) -> Config {
    config.installation.dry_run |= args.dry_run;
    for (section, listen) in [
        ("webhook", &mut config.webhook.listen),
        ("metrics", &mut config.metrics.listen),
        ("page", &mut config.page.listen),
    ] {
        if let Some(given) = sockets.given_address(section) {
            *listen = given;
        }
    }
    config
}

fn warn(config: &Config) {
    let dry = config.dry_run_channels().join(", ");
    if !dry.is_empty() {
        tracing::warn!(
            channels = dry,
            "DRY RUN: nothing is sent on these channels, messages are recorded"
        );
    }
    if let Some(recipients) = config.only_to().map(|list| list.len()) {
        tracing::warn!(
            recipients,
            "ONLY TO: messages leave for the recipients of installation.only_to; everybody else is skipped"
        );
    }
}

/// The daemon; None: it was stopped before. Under a service manager a database that is away is waited for here: a
/// daemon that ends and is started again every few seconds fills the journal. By hand it is an error.
async fn build(
    config: &Config,
    stop: &CancellationToken,
    service: &Service,
    sockets: &mut Sockets,
) -> Result<Option<App>, CliError> {
    let mut said = String::new();
    loop {
        let error = match App::build(config.clone(), Clock::system(), sockets).await {
            Ok(app) => return Ok(Some(app)),
            Err(error) => error,
        };
        let is_away = matches!(error, AppError::Pool(_));
        if !is_away || std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Err(error.into());
        }
        let error = chain(&error);
        if error != said {
            tracing::warn!(target: notice::DATABASE_AWAY, error, "the database cannot be used; waiting for it");
            said = error;
        }
        service.waiting();
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Reads the configuration again, and starts a daemon with it; None: it cannot be used, and the old one stays.
async fn reload(
    args: &RunArgs,
    path: &Path,
    old: &Daemon,
    service: &Service,
    sockets: &mut Sockets,
    stop: &CancellationToken,
) -> Option<Daemon> {
    service.reloading();
    tracing::info!("reading the configuration again");
    match next(args, path, old, service, sockets, stop).await {
        Ok(next) => next,
        Err(error) => {
            tracing::error!(target: notice::RELOAD_REFUSED,
                error = chain(anyhow::Error::from(error).as_ref()),
                "the new configuration cannot be used; what was read before stays in force"
            );
            reloads("refused").increment(1);
            let refused = "; the configuration of the last reload was refused, see the journal";
            service.reloaded(service.notes().replace(refused, "") + refused);
            None
        }
    }
}

async fn next(
    args: &RunArgs,
    path: &Path,
    old: &Daemon,
    service: &Service,
    sockets: &mut Sockets,
    stop: &CancellationToken,
) -> Result<Option<Daemon>, CliError> {
    let config = settled(load::load(path)?, args, sockets);
    let app = tokio::select! {
        app = App::build(config.clone(), Clock::system(), sockets) => app?,
        () = stop.cancelled() => return Ok(None),
    };
    let mut next = Daemon::start(app, config, service);
    let is_ready = tokio::select! {
        is_ready = tokio::time::timeout(TAKE_OVER, &mut next.is_ready) => matches!(is_ready, Ok(Ok(()))),
        () = stop.cancelled() => false,
    };
    if !is_ready {
        service.given_up();
        next.retire().await;
        if stop.is_cancelled() {
            return Ok(None);
        }
        let why = "a daemon with it did not come to listen; is the database there?";
        return Err(CliError::Other(anyhow::anyhow!(why)));
    }
    next.was_ready = true;
    telemetry::change_level(&next.config.log)?;
    warn(&next.config);
    say_what_stays(&old.config, &next.config);
    Ok(Some(next))
}

/// What only a restart changes.
fn say_what_stays(old: &Config, new: &Config) {
    if old.log.format != new.log.format {
        tracing::warn!("log.format stays as it was at the start: restart rowbell to change it");
    }
    if std::env::var_os("CREDENTIALS_DIRECTORY").is_some() {
        tracing::info!(
            "secrets that systemd hands over (LoadCredential=) stay as they were at the start: restart rowbell after changing one"
        );
    }
}

fn reloads(result: &'static str) -> metrics::Counter {
    metrics::counter!("rowbell_reloads_total", "result" => result)
}

/// What the status says beside what the daemon does.
fn notes(config: &Config) -> String {
    let mut notes = String::new();
    let dry = config.dry_run_channels().join(", ");
    if !dry.is_empty() {
        notes += &format!("; DRY RUN on {dry}");
    }
    if let Some(recipients) = config.only_to().map(|list| list.len()) {
        notes += &format!("; ONLY TO {recipients} recipients");
    }
    notes
}

fn stop_on_signal(service: Arc<Service>) -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing what is in flight");
        service.stopping();
        stopping.cancel();
    });
    Ok(stop)
}

/// A terminal that is closed ends us like Ctrl-C. Elsewhere SIGHUP is sent by those who have changed the
/// configuration.
fn hung_up() -> bool {
    std::io::stderr().is_terminal()
}
