//! What the service manager is told: on the way up and down, when the configuration is read again, and, while the daemon
//! runs, that it does its work.
//!
//! The watchdog is fed by what the stages do, not by the process being alive: a stage whose step does not end stops it,
//! and the service manager starts the daemon anew. A database that is away does not: steps fail then, and are done
//! again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::app::Health;
use crate::config::Config;
use crate::domain::notice;

/// How often it is looked how the stages are. The watchdog is fed four times in its time.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long the service manager waits for the next sign of life while the daemon is not ready, in microseconds.
const LONGEST_LOOK: u32 = 120_000_000;

/// How long a stage may wait for a connection of the pool, beside the time of connecting.
const POOL_WAIT: Duration = Duration::from_secs(25);

/// The daemon as the service manager sees it.
pub struct Service {
    state: Mutex<ServiceState>,
    watchdog: Option<Duration>,
}

struct ServiceState {
    phase: Phase,
    /// What is said of the configuration.
    notes: String,
    /// More than one while a configuration takes the place of another.
    daemons: Vec<Health>,
    /// How long a step of a stage may take with these settings.
    longest_step: Duration,
    said: String,
    is_hanging: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Starting,
    /// For the database.
    Waiting,
    Ready,
    Stopping,
}

impl Service {
    /// Says that the daemon starts, and goes on to say how it is.
    pub fn start(config: &Config) -> Arc<Service> {
        let state = ServiceState {
            phase: Phase::Starting,
            notes: String::new(),
            daemons: Vec::new(),
            longest_step: longest_step(config),
            said: String::new(),
            is_hanging: false,
        };
        let watchdog = sd_notify::watchdog_enabled();
        let service = Arc::new(Service { state: Mutex::new(state), watchdog });
        service.say(&[]);
        let looking = service.clone();
        tokio::spawn(async move {
            let every = watchdog.map_or(LOOK_EVERY, |watchdog| LOOK_EVERY.min(watchdog / 4));
            loop {
                tokio::time::sleep(every).await;
                looking.look();
            }
        });
        service
    }

    /// The database is away at the start.
    pub fn waiting(&self) {
        self.state().phase = Phase::Waiting;
        self.say(&[NotifyState::ExtendTimeoutUsec(LONGEST_LOOK)]);
    }

    /// A daemon runs.
    pub fn runs(&self, health: Health) {
        self.state().daemons.push(health);
    }

    /// The daemon is ready, with these words about its configuration.
    pub fn ready(&self, config: &Config, notes: String) {
        let mut state = self.state();
        // A stop may have come first.
        if state.phase != Phase::Stopping {
            state.phase = Phase::Ready;
        }
        state.notes = notes;
        state.longest_step = longest_step(config);
        drop(state);
        self.say(&[NotifyState::Ready]);
    }

    /// The configuration is read again.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    /// The one before has ended: only the last daemon counts.
    pub fn replaced(&self) {
        let mut state = self.state();
        let old = state.daemons.len().saturating_sub(1);
        state.daemons.drain(..old);
    }

    /// The last one that began did not come to run.
    pub fn given_up(&self) {
        self.state().daemons.pop();
    }

    /// The configuration was read again, and this is said of it.
    pub fn reloaded(&self, notes: String) {
        self.state().notes = notes;
        self.say(&[NotifyState::Ready]);
    }

    /// What is said of the configuration now.
    pub fn notes(&self) -> String {
        self.state().notes.clone()
    }

    pub fn stopping(&self) {
        self.state().phase = Phase::Stopping;
        self.say(&[NotifyState::Stopping]);
    }

    fn look(&self) {
        let mut state = self.state();
        let longest = self.watchdog.unwrap_or_default() / 2;
        let longest = longest.max(state.longest_step);
        let hanging: Vec<String> =
            state.daemons.iter().flat_map(|health| health.hanging(longest)).collect();
        let was_hanging = std::mem::replace(&mut state.is_hanging, !hanging.is_empty());
        let is_ready = state.phase != Phase::Starting && state.phase != Phase::Waiting;
        drop(state);
        if !hanging.is_empty() {
            if !was_hanging {
                tracing::error!(target: notice::STAGE_HANGS,
                    stages = hanging.join(", "),
                    "a stage hangs; the watchdog is not fed, and the service manager will start the daemon anew"
                );
            }
            return self.say(&[]);
        }
        match (is_ready, self.watchdog) {
            (false, _) => self.say(&[NotifyState::ExtendTimeoutUsec(LONGEST_LOOK)]),
            (true, Some(_)) => self.say(&[NotifyState::Watchdog]),
            (true, None) => self.say(&[]),
        }
    }

    /// Tells this, and the status if it has changed.
    fn say(&self, states: &[NotifyState<'_>]) {
        let mut state = self.state();
        let status = state.status();
        let is_news = status != state.said;
        state.said.clone_from(&status);
        drop(state);
        let news = is_news.then_some(NotifyState::Status(&status));
        let all: Vec<NotifyState<'_>> = states.iter().cloned().chain(news).collect();
        if !all.is_empty() {
            tell(&all);
        }
    }

    fn state(&self) -> MutexGuard<'_, ServiceState> {
        // Right at every line; a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServiceState {
    fn status(&self) -> String {
        let is = |what: fn(&Health) -> bool| self.daemons.last().is_some_and(what);
        let does = match self.phase {
            Phase::Stopping => return "Finishing what is in flight".to_owned(),
            Phase::Starting => return "Starting".to_owned(),
            Phase::Ready if self.is_hanging => "A stage hangs",
            Phase::Waiting => "Waiting for the database",
            Phase::Ready if is(Health::is_cut_off) => "Waiting for the database",
            Phase::Ready if is(Health::polls) => "Polling, as rings are not heard",
            Phase::Ready => "Listening",
        };
        format!("{does}{}", self.notes)
    }
}

/// The longest that a step may take in order: it waits for a connection, and then for the database.
fn longest_step(config: &Config) -> Duration {
    let database = &config.database;
    POOL_WAIT + database.connect_timeout + database.statement_timeout * 2
}

/// Tells the service manager, if there is one.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
