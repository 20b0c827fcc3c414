//! Finds what a recipient was last told: the baseline of the difference.

use std::borrow::Cow;

use deadpool_postgres::Transaction;

use crate::config::Config;
use crate::domain::message::message::Message;
use crate::domain::value::row::Row;
use crate::pipeline::context::context::CompiledWatch;
use crate::pipeline::context::stage::StageError;
use crate::postgres::capture::row_query::{self, LastTold};
use crate::postgres::queries;
use crate::postgres::queries::compose::{CountsAsTold, LastToldRow, UnconfirmedRow};

/// What the recipient of one entity was last told; whether an unconfirmed message counts depends on
/// the watch, see `row_query::counts_unconfirmed`. None: nothing, the row is new to them, or gone.
pub async fn baseline_of<'a>(
    tx: &Transaction<'_>,
    config: &Config,
    compiled: &CompiledWatch,
    message: &'a Message,
    told: &'a LastTold,
) -> Result<Option<Cow<'a, Row>>, StageError> {
    let mut baseline = match told {
        LastTold::Last(row) => row.as_ref().map(Cow::Borrowed),
        LastTold::Never { first_old_row: Some(row) } => row.as_ref().map(Cow::Borrowed),
        LastTold::Never { first_old_row: None } => message.old_row.as_ref().map(Cow::Borrowed),
        LastTold::Muted => muted_baseline(tx, config, compiled, message).await?.map(Cow::Owned),
    };
    if let (Some(row), Some(captured)) = (&mut baseline, &message.old_row) {
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
    config: &Config,
    compiled: &CompiledWatch,
    message: &Message,
) -> Result<Option<Row>, StageError> {
    let (watch, key) = (&compiled.name, &message.entity_key);
    let unconfirmed = row_query::counts_unconfirmed(&compiled.config);
    let arrived = message.fallback_of.map(|_| compiled.silent_channels.as_slice());
    let dry_runs = config.is_dry_run(&message.channel) && message.fallback_of.is_none();
    let counts = CountsAsTold { unconfirmed, arrived, dry_runs };
    let told = queries::compose::compose_last_told(tx, watch, key, &counts).await?;
    let first_old = queries::compose::compose_first_old(tx, watch, key).await?;
    let mut baseline = match told.last() {
        Some(last) if !last.is_muted => last.new_row.clone(),
        _ => first_old.or_else(|| message.old_row.clone()),
    };
    for muted in told.iter().rev().filter(|told| told.is_muted) {
        baseline = with_muted(baseline, muted);
    }
    Ok(baseline)
}

fn with_muted(baseline: Option<Row>, muted: &LastToldRow) -> Option<Row> {
    match (baseline, &muted.old_row, &muted.new_row) {
        (Some(mut row), old, Some(new)) => {
            overlay(&mut row, old.as_ref(), new);
            Some(row)
        }
        // That the row is there at all was not told, and not muted either.
        (None, Some(_), Some(_)) => None,
        (_, _, new) => new.clone(),
    }
}

fn overlay(row: &mut Row, old: Option<&Row>, new: &Row) {
    for (column, value) in new {
        if old.and_then(|old| old.get(column)) != Some(value) {
            row.insert(column.clone(), value.clone());
        }
    }
}

/// What the recipients of some messages may have read although nobody knows, with their places: the rows
/// of requests without an answer since something was told for certain, overlaid with what was muted since.
pub async fn unconfirmed_rows(
    tx: &Transaction<'_>,
    compiled: &CompiledWatch,
    messages: &[Message],
    places: &[usize],
) -> Result<Vec<(usize, Option<Row>)>, StageError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<&str> = places.iter().map(|at| messages[*at].entity_key.as_str()).collect();
    let counts_unconfirmed = row_query::counts_unconfirmed(&compiled.config);
    let found =
        queries::compose::compose_unconfirmed(tx, &compiled.name, &keys, counts_unconfirmed)
            .await?;
    let mut unconfirmed_rows: Vec<(usize, Option<Row>)> = Vec::new();
    for UnconfirmedRow { place, row } in found {
        let Some(&place) = places.get(place) else { continue };
        if !row.is_muted {
            unconfirmed_rows.push((place, row.new_row));
            continue;
        }
        for (_, unconfirmed_attempt) in unconfirmed_rows.iter_mut().filter(|(of, _)| *of == place) {
            *unconfirmed_attempt = with_muted(unconfirmed_attempt.take(), &row);
        }
    }
    Ok(unconfirmed_rows)
}
