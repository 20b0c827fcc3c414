//! Logs: one line per failure, at the place that handles it; no phone, name or token in any, whatever the level.

pub mod metrics;

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{Log, LogFormat};

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level = \"{level}\" is not a level or filter such as \"info\"")]
    Level { level: String, source: tracing_subscriber::filter::ParseError },
    #[error("log.format = \"journald\", but the journal cannot be reached")]
    Journal(#[source] std::io::Error),
}

/// Starts logging to stderr or the journal. A second call changes nothing.
pub fn start(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&log.level)
        .map_err(|source| TelemetryError::Level { level: log.level.clone(), source })?;
    let format = match log.format {
        LogFormat::Auto if std::env::var_os("JOURNAL_STREAM").is_some() => LogFormat::Journald,
        LogFormat::Auto => LogFormat::Text,
        other => other,
    };
    let layer = match format {
        LogFormat::Journald => tracing_journald::layer().map_err(TelemetryError::Journal)?.boxed(),
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).boxed()
        }
        LogFormat::Auto | LogFormat::Text => tracing_subscriber::fmt::layer()
            .compact()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let may_say = filter_fn(may_say).with_max_level_hint(LevelFilter::TRACE);
    // Already started: the first settings stay.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter.and(may_say))).try_init();
    Ok(())
}

/// The libraries below us have a say only where it is an error. In detail they tell each statement with its
/// parameters, which are rows and phones, and each notice of the database; and for each connection that is
/// lost once more what a stage tells by itself.
fn may_say(metadata: &Metadata<'_>) -> bool {
    *metadata.level() == Level::ERROR || metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
}
