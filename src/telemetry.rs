//! Logs: one line per failure, at the place that handles it; no phone, name or token in any, whatever the level.

pub mod metrics;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::{Compact, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config::{Log, LogFormat};
use crate::domain::notice;

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.level = \"{level}\" is not a level or filter such as \"info\"")]
    Level { level: String, source: tracing_subscriber::filter::ParseError },
    #[error("log.format = \"journald\", but the journal cannot be reached")]
    Journal(#[source] io::Error),
}

/// What has been started, by which its level is changed.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

fn filter_of(log: &Log) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(&log.level)
        .map_err(|source| TelemetryError::Level { level: log.level.clone(), source })
}

/// Logs by another level from now on, as the setting says. What is logged where was decided at the start.
pub fn change_level(log: &Log) -> Result<(), TelemetryError> {
    let filter = filter_of(log)?;
    if let Some(level) = LEVEL.get() {
        // It fails only once the subscriber is gone, and then nobody logs.
        let _ = level.reload(filter);
    }
    Ok(())
}

/// Starts logging to stderr or the journal. A second call changes nothing.
pub fn start(log: &Log) -> Result<(), TelemetryError> {
    let (filter, level) = reload::Layer::new(filter_of(log)?);
    let is_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let layer = match log.format {
        LogFormat::Auto if is_journal => tracing_subscriber::fmt::layer()
            .event_format(JournalLines::default())
            .with_ansi(false)
            .with_writer(std::io::stderr)
            .boxed(),
        LogFormat::Journald => Journal::open().map_err(TelemetryError::Journal)?.boxed(),
        LogFormat::Json => {
            tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr).boxed()
        }
        LogFormat::Auto | LogFormat::Text => tracing_subscriber::fmt::layer()
            .compact()
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal() && !no_color())
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let may_say = filter_fn(may_say).with_max_level_hint(LevelFilter::TRACE);
    // Already started: the first settings stay.
    let layer = layer.with_filter(filter.and(may_say));
    if tracing_subscriber::registry().with(layer).try_init().is_ok() {
        let _ = LEVEL.set(level);
    }
    Ok(())
}

/// Lines for the journal of systemd, which reads the priority in front: all facts stand in the line itself, as
/// `journalctl -u rowbell` shows it. With `log.format = "journald"` they are fields, which it does not show.
struct JournalLines(Format<Compact, ()>);

impl Default for JournalLines {
    fn default() -> JournalLines {
        let format = tracing_subscriber::fmt::format().compact().without_time();
        JournalLines(format.with_target(false).with_level(false).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for JournalLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        // The levels of syslog.
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}

/// The journal in its own protocol. What a person must react to has a MESSAGE_ID.
struct Journal {
    others: tracing_journald::Layer,
    by_kind: BTreeMap<&'static str, tracing_journald::Layer>,
}

impl Journal {
    fn open() -> io::Result<Journal> {
        let of_kind = |(kind, id)| {
            Ok((kind, tracing_journald::layer()?.with_custom_fields([("MESSAGE_ID", id)])))
        };
        let by_kind = notice::ALL.into_iter().map(of_kind).collect::<io::Result<_>>()?;
        Ok(Journal { others: tracing_journald::layer()?, by_kind })
    }
}

/// The layers share what they keep with a span, so that one of them keeps it for all.
impl<S> Layer<S> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.others.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.others.on_record(id, values, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let layer = self.by_kind.get(event.metadata().target()).unwrap_or(&self.others);
        layer.on_event(event, context);
    }
}

/// See no-color.org: any value but an empty one.
fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// The libraries below us have a say only where it is an error. In detail they tell each statement with its
/// parameters, which are rows and phones, and each notice of the database; and for each connection that is
/// lost once more what a stage tells by itself.
fn may_say(metadata: &Metadata<'_>) -> bool {
    *metadata.level() == Level::ERROR || metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// `journalctl` shows the line and nothing else: stage and error have to stand in it.
    #[test]
    fn a_line_of_the_journal_holds_its_facts_and_its_priority() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JournalLines::default())
            .with_ansi(false)
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(stage = "claim", error = "refused", "stage cannot work");
            tracing::info!("ready");
        });
        let said = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(said, "<4>stage cannot work stage=\"claim\" error=\"refused\"\n<6>ready\n");
    }
}
