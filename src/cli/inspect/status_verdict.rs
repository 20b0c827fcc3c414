//! How the installation stands in one word and one line, as Nagios and its relatives read a check: the exit code of
//! `rowbell status --exit-code`, and its first line.

use jiff::Timestamp;

use crate::cli::text::LATE;
use crate::postgres::operations::blockers::BlockerKind;
use crate::postgres::operations::status_report::{Status, Trigger};

/// The word that such systems know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "UPPERCASE", const_into_str)]
pub enum Verdict {
    Ok,
    /// Somebody should look by day.
    Warning,
    /// Customers are not told, or will soon not be.
    Critical,
    /// It cannot be seen.
    Unknown,
}

impl Verdict {
    pub fn of(status: &Status, needs: &[String]) -> Verdict {
        match needs.is_empty() {
            true => Verdict::Ok,
            false if is_critical(status) => Verdict::Critical,
            false => Verdict::Warning,
        }
    }

    pub fn exit_code(self) -> u8 {
        self as u8
    }

    /// One line: the word, how much needs a person, and the first of it.
    pub fn line(self, needs: &[String]) -> String {
        let word = self.into_str();
        match needs {
            [] => format!("ROWBELL {word} - nothing needs attention"),
            [only] => format!("ROWBELL {word} - {only}"),
            [first, rest @ ..] => format!("ROWBELL {word} - {first} (and {} more)", rest.len()),
        }
    }
}

/// The queue of notifications is a danger for the transactions of the business itself.
const QUEUE_IS_FULL_SOON: f64 = 0.5;

fn is_critical(status: &Status) -> bool {
    let now = status.taken_at;
    let is_late = |at: Option<Timestamp>| at.is_some_and(|at| now.duration_since(at) > LATE);
    let watch_fails = status.watches.iter().any(|watch| match watch.trigger {
        Trigger::Missing | Trigger::Unusable => true,
        Trigger::Installed | Trigger::Drift => {
            watch.waiting > 0 || is_late(watch.oldest_changed_at)
        }
        Trigger::NotConfigured => false,
    });
    let channel_fails = status
        .channels
        .iter()
        .any(|channel| channel.is_configured && is_late(channel.oldest_due_at));
    let is_stopped = status
        .blockers
        .iter()
        .any(|blocker| matches!(blocker.kind, BlockerKind::Circuit | BlockerKind::Copy));
    status.daemon.sessions == 0
        || status.notification_queue_usage > QUEUE_IS_FULL_SOON
        || watch_fails
        || channel_fails
        || is_stopped
}
