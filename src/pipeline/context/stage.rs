//! What all stages share: one piece of work at a time, told apart into progress and rest.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

pub use crate::error_chain::chain;

/// Classes of errors about the values of a row: of their conversion, of constraints, and whatever functions of
/// the business raise.
const QUOTES_VALUES: [&str; 6] = ["22", "23", "38", "39", "44", "P0"];

/// What one `step` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something was done; there may be more.
    Worked,
    /// There is nothing to do now.
    Idle,
}

/// What keeps a stage from doing its work. Refusals by a provider are not errors: they are facts
/// stored on the attempt.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("could not get a database connection")]
    Pool(#[from] deadpool_postgres::PoolError),
    #[error("a query failed")]
    Query(#[from] tokio_postgres::Error),
    #[error("the rows of watch {watch} could not be read")]
    Read { watch: String, source: tokio_postgres::Error },
}

impl StageError {
    /// Whether it only says that something failed before it in the same transaction.
    pub fn came_after(&self) -> bool {
        let (StageError::Query(source) | StageError::Read { source, .. }) = self else {
            return false;
        };
        source.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
    }
}

/// What a log may hold of an error: where it is about the values of a row, its code, because its words quote
/// them.
pub fn loggable(error: &StageError) -> String {
    let (StageError::Query(source) | StageError::Read { source, .. }) = error else {
        return chain(error);
    };
    match source.code().map(SqlState::code) {
        Some(code) if QUOTES_VALUES.iter().any(|class| code.starts_with(class)) => {
            format!("{error}: SQLSTATE {code}")
        }
        _ => chain(error),
    }
}

/// How often the wait doubles, from 0.1 s: a database that was away is at work again within 6.4 s of its
/// return, and a dozen stages that ask so often cost it nothing.
const MOST_DOUBLINGS: u32 = 6;

/// Waits between failures: longer each time, never in step with other daemons, reset by success.
#[derive(Debug)]
pub struct Backoff {
    stage: &'static str,
    failures: u32,
    counted: metrics::Counter,
}

impl Backoff {
    pub fn new(stage: &'static str) -> Backoff {
        let counted = metrics::counter!("rowbell_stage_failures_total", "stage" => stage);
        Backoff { stage, failures: 0, counted }
    }

    /// Logs the first failure of a row of them, and says how long to wait.
    pub fn failed(&mut self, error: &StageError) -> Duration {
        self.counted.increment(1);
        if self.failures == 0 {
            tracing::warn!(
                stage = self.stage,
                error = loggable(error),
                "stage cannot work; will try again"
            );
        } else {
            tracing::debug!(stage = self.stage, error = loggable(error), "stage still cannot work");
        }
        self.failures = (self.failures + 1).min(MOST_DOUBLINGS);
        let ceiling = Duration::from_millis(100 << self.failures);
        ceiling.mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }

    /// Logs the end of a row of failures.
    pub fn succeeded(&mut self) {
        if self.failures > 0 {
            tracing::info!(stage = self.stage, "stage works again");
            self.failures = 0;
        }
    }
}

/// Sleeps, unless told to stop first.
pub async fn rest(stop: &CancellationToken, time: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}
