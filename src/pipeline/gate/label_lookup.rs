//! Asks for the names of the rows that foreign keys point to. A label query that fails costs its column the names,
//! and no message.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadpool_postgres::Transaction;

use crate::domain::text::labels::FoundNames;
use crate::domain::value::row::Row;
use crate::pipeline::context::context::{CompiledWatch, Context};
use crate::pipeline::context::read_fault::{RowFault, fault_of};
use crate::pipeline::context::stage::{StageError, chain};
use crate::postgres::capture::label_query;
use crate::postgres::capture::proof::WatchPart;

/// A label query that failed.
pub struct LookupFailure {
    pub column: String,
    pub source: tokio_postgres::Error,
}

/// What the label queries of a watch said.
#[derive(Default)]
pub struct LookupAnswer {
    pub found: FoundNames,
    worked: Vec<String>,
    pub failures: Vec<LookupFailure>,
}

/// Asks all label queries but those of `left_alone`. Where they are guarded, one that fails is among the failures;
/// elsewhere it has ended the transaction.
pub async fn look_up<'a>(
    tx: &Transaction<'_>,
    compiled: &CompiledWatch,
    left_alone: BTreeSet<String>,
    rows: impl Iterator<Item = &'a Row> + Clone,
    is_guarded: bool,
) -> Result<LookupAnswer, LookupFailure> {
    let mut answer = LookupAnswer::default();
    answer.found.failed = left_alone;
    for (column, sql) in &compiled.lookups {
        let names = answer.found.names.entry(column.clone()).or_default();
        if answer.found.failed.contains(column) {
            continue;
        }
        match label_query::find(tx, column, sql, rows.clone(), is_guarded).await {
            Ok(Some(labels)) => {
                *names = labels;
                answer.worked.push(column.clone());
            }
            // None of the rows asks for a name.
            Ok(None) => {}
            Err(source) => {
                let failure = LookupFailure { column: column.clone(), source };
                if !is_guarded || fault_of(&failure.source) == RowFault::Server {
                    return Err(failure);
                }
                answer.found.failed.insert(column.clone());
                answer.failures.push(failure);
            }
        }
    }
    Ok(answer)
}

/// The names that some messages need. With several messages, a query that fails ends the transaction: they are
/// decided again without it, or one by one.
pub async fn names<'a>(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    rows: impl Iterator<Item = &'a Row> + Clone,
    is_alone: bool,
) -> Result<Arc<FoundNames>, StageError> {
    if compiled.lookups.is_empty() {
        return Ok(Arc::default());
    }
    let watch = &compiled.name;
    let left_alone = context.faults.failed_lookups(watch);
    let answer = look_up(tx, compiled, left_alone, rows, is_alone).await.map_err(|failure| {
        let LookupFailure { column, source } = failure;
        StageError::Lookup { watch: watch.clone(), column, source }
    })?;
    for column in answer.worked {
        context.faults.works(watch, &WatchPart::Lookup(column));
    }
    for LookupFailure { column, source } in answer.failures {
        match fault_of(&source) {
            RowFault::Watch => context.failed(watch, WatchPart::Lookup(column), &chain(&source)),
            // What the database says of a value quotes it: that stands in no log.
            _ => tracing::warn!(
                watch,
                column,
                code = source.code().map(tokio_postgres::error::SqlState::code),
                "a name could not be looked up; the message leaves without it"
            ),
        }
    }
    Ok(Arc::new(answer.found))
}
