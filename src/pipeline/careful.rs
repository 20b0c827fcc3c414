//! Care for a watch whose batch failed on the data of some row.

use deadpool_postgres::Transaction;

use super::decide::decide;
use super::gates::{Candidate, Decision};
use super::site::{Site, Watching};
use super::stage::{StageError, chain};
use super::stops::Stops;
use crate::domain::message::Failure;

/// The row at fault fails; the others are not held up by it.
pub async fn one_by_one(
    tx: &Transaction<'_>,
    site: &Site,
    watching: &Watching,
    stops: &Stops,
    candidates: &[Candidate],
) -> Result<Vec<Decision>, StageError> {
    let mut decisions = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        tx.batch_execute("savepoint one_row").await?;
        match decide(tx, site, watching, stops, std::slice::from_ref(candidate)).await {
            Ok(decision) => decisions.extend(decision),
            Err(StageError::Read { source, .. }) if source.code().is_some() => {
                tx.batch_execute("rollback to savepoint one_row").await?;
                let text = chain(&source);
                tracing::error!(watch = watching.name, error = %text, "a row cannot be put into words");
                decisions.push(Decision::Fail(Failure::Unwritable, text));
            }
            Err(error) => return Err(error),
        }
        tx.batch_execute("release savepoint one_row").await?;
    }
    Ok(decisions)
}

/// Missing tables, columns and rights (SQLSTATE class 42) concern every row of the watch; anything
/// else may be the fault of one row.
pub fn is_fault_of_the_watch(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("42"))
}
