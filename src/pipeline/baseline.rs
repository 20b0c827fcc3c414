//! What a recipient was last told: the baseline of the difference.

use std::borrow::Cow;

use deadpool_postgres::Transaction;

use super::gates::Candidate;
use super::site::Watching;
use super::stage::StageError;
use crate::domain::row::Row;
use crate::postgres::queries::{self, Counts};
use crate::postgres::rows::{self, Told};

/// What the recipient of one entity was last told; whether an unconfirmed message counts depends on
/// the watch, see `rows::counts_unconfirmed`. None: nothing, the row is new to them, or gone.
pub async fn baseline_of<'a>(
    tx: &Transaction<'_>,
    watching: &Watching,
    candidate: &'a Candidate,
    told: &'a Told,
) -> Result<Option<Cow<'a, Row>>, StageError> {
    let mut baseline = match told {
        Told::Last(row) => row.as_ref().map(Cow::Borrowed),
        Told::Never { first_old_row: Some(row) } => row.as_ref().map(Cow::Borrowed),
        Told::Never { first_old_row: None } => candidate.old_row.as_ref().map(Cow::Borrowed),
        Told::Muted => muted_baseline(tx, watching, candidate).await?.map(Cow::Owned),
    };
    if let (Some(row), Some(captured)) = (&mut baseline, &candidate.old_row) {
        complete(row, captured);
    }
    Ok(baseline)
}

/// A column that was not watched yet when the recipient was last told was not null then: its first
/// known value is the one before this change.
fn complete(row: &mut Cow<'_, Row>, captured: &Row) {
    for (column, value) in captured {
        if !row.contains_key(column) {
            row.to_mut().insert(column.clone(), value.clone());
        }
    }
}

/// A muted change counts as told, but only in the columns that it changed: what was changed before
/// it and not told yet is still to be told.
async fn muted_baseline(
    tx: &Transaction<'_>,
    watching: &Watching,
    candidate: &Candidate,
) -> Result<Option<Row>, StageError> {
    let (watch, key) = (&watching.name, &candidate.entity_key);
    let unconfirmed = rows::counts_unconfirmed(&watching.config);
    let arrived = candidate.fallback_of.map(|_| watching.silent_channels.as_slice());
    let told = queries::compose_told(tx, watch, key, &Counts { unconfirmed, arrived }).await?;
    let first_old = queries::compose_first_old(tx, watch, key).await?;
    let mut baseline = match told.last() {
        Some(last) if !last.is_muted => last.new_row.clone(),
        _ => first_old.or_else(|| candidate.old_row.clone()),
    };
    for muted in told.iter().rev().filter(|told| told.is_muted) {
        baseline = match (baseline, &muted.old_row, &muted.new_row) {
            (Some(mut row), old, Some(new)) => {
                overlay(&mut row, old.as_ref(), new);
                Some(row)
            }
            // That the row is there at all was not told, and not muted either.
            (None, Some(_), Some(_)) => None,
            (_, _, new) => new.clone(),
        };
    }
    Ok(baseline)
}

fn overlay(row: &mut Row, old: Option<&Row>, new: &Row) {
    for (column, value) in new {
        if old.and_then(|old| old.get(column)) != Some(value) {
            row.insert(column.clone(), value.clone());
        }
    }
}
