//! Runs a stage: step by step, with a rest after each, and longer and longer waits after failures.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

use crate::domain::limit::backoff::{Backoff, spread};
use crate::domain::notice;
pub use crate::error_chain::chain;
use crate::pipeline::context::pulse::{self, Pulse};

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
    #[error("lookup.{column} of watch {watch} could not be read")]
    Lookup { watch: String, column: String, source: tokio_postgres::Error },
}

impl StageError {
    /// Whether it only says that something failed before it in the same transaction.
    pub fn came_after(&self) -> bool {
        let code = self.answer().and_then(tokio_postgres::Error::code);
        code == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
    }

    /// Whether something that was to be written cannot be: what is in one row, or what was made of it.
    pub fn is_of_a_value(&self) -> bool {
        let StageError::Query(error) = self else { return false };
        let code = error.code().map(SqlState::code).unwrap_or_default();
        // Data, integrity, limits of the server, and what a trigger raises.
        ["22", "23", "54", "P0"].iter().any(|class| code.starts_with(class))
    }

    /// Whether there is no connection to the database, or it was lost; not, whether the database refuses.
    pub fn is_of_the_connection(&self) -> bool {
        match self.answer() {
            None => true,
            // Without a code it is no answer of the server; these classes say that it ends, starts, or is full.
            Some(error) => error.code().is_none_or(|code| {
                ["08", "53", "57P"].iter().any(|class| code.code().starts_with(class))
            }),
        }
    }

    /// What the database said.
    fn answer(&self) -> Option<&tokio_postgres::Error> {
        match self {
            StageError::Pool(_) => None,
            StageError::Query(source)
            | StageError::Read { source, .. }
            | StageError::Lookup { source, .. } => Some(source),
        }
    }
}

/// What a log may hold of an error: where it is about the values of a row, its code, because its words quote
/// them.
pub fn loggable(error: &StageError) -> String {
    match error.answer().and_then(tokio_postgres::Error::code).map(SqlState::code) {
        Some(code) if QUOTES_VALUES.iter().any(|class| code.starts_with(class)) => {
            format!("{error}: SQLSTATE {code}")
        }
        _ => chain(error),
    }
}

/// The waits after failures: a database that was away is at work again within 6.4 s of its return, and a dozen
/// stages that ask so often cost it nothing.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_millis(6_400);

/// Works step by step until it is told to stop.
pub trait Stage: Send + Sized {
    /// Its name in the log and in metrics.
    const NAME: &'static str;

    /// Whether a stop may end a step in its middle: one that waits for a provider, and can be done again.
    const ENDS_MIDWAY: bool = false;

    /// One piece of work.
    fn step(&mut self) -> impl Future<Output = Result<Progress, StageError>> + Send;

    /// After a step: returns when it is time for the next one, or to stop.
    fn rest(&mut self, last: Progress, stop: &CancellationToken)
    -> impl Future<Output = ()> + Send;

    /// What is left to do after the last step.
    fn end(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Works until told to stop. A step that fails is done again, later and later.
    fn run(
        mut self,
        stop: CancellationToken,
        pulse: Arc<Pulse>,
    ) -> impl Future<Output = ()> + Send {
        pulse::of_stage(pulse.clone(), async move {
            let mut failures = Failures::new(Self::NAME);
            while !stop.is_cancelled() {
                pulse.begin();
                let step = tokio::select! {
                    () = stop.cancelled(), if Self::ENDS_MIDWAY => break,
                    step = self.step() => step,
                };
                match step {
                    Ok(progress) => {
                        pulse.worked();
                        if progress == Progress::Worked {
                            pulse.moved();
                        }
                        failures.end();
                        self.rest(progress, &stop).await;
                    }
                    Err(error) => {
                        pulse.failed(error.is_of_the_connection(), loggable(&error));
                        sleep(failures.add(&error), &stop).await;
                    }
                }
            }
            pulse.end();
            self.end().await;
        })
    }
}

/// The failures of a stage in a row.
#[derive(Debug)]
pub struct Failures {
    stage: &'static str,
    backoff: Backoff,
    counted: metrics::Counter,
}

impl Failures {
    pub fn new(stage: &'static str) -> Failures {
        let counted = metrics::counter!("rowbell_stage_failures_total", "stage" => stage);
        Failures { stage, backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT), counted }
    }

    /// Logs the first of them, and says how long to wait.
    pub fn add(&mut self, error: &StageError) -> Duration {
        self.counted.increment(1);
        let (stage, error) = (self.stage, loggable(error));
        if self.backoff.has_failed() {
            tracing::debug!(stage, error, "stage still cannot work");
        } else {
            tracing::warn!(target: notice::STAGE_FAILS, stage, error, "stage cannot work; will try again");
        }
        spread(self.backoff.fail(), rand::random())
    }

    /// Logs that they are over.
    pub fn end(&mut self) {
        if self.backoff.has_failed() {
            tracing::info!(stage = self.stage, "stage works again");
            self.backoff.succeed();
        }
    }
}

/// Sleeps, unless told to stop first.
pub async fn sleep(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}
