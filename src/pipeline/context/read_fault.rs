//! Whose fault it is that the rows of a watch could not be read.

use std::error::Error as _;

use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{StageError, chain};
use crate::postgres::capture::proof::WatchPart;

/// Whose fault it is that rows could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFault {
    /// Missing tables, columns and rights: every row of the watch fails so.
    Watch,
    /// Some row: what is in it cannot be converted, by the database or by us.
    Row,
    /// It took longer than `database.statement_timeout`: the load, or some row.
    Slow,
    /// The connection, or the server as a whole: the same again works later.
    Server,
}

/// Whose fault it is that something of a watch could not be read; None: nothing of the kind failed. A watch or a label
/// query at fault is left alone for a while.
pub fn noted<'a>(context: &Context, error: &'a StageError) -> Option<(&'a str, RowFault)> {
    let (StageError::Read { watch, source } | StageError::Lookup { watch, source, .. }) = error
    else {
        return None;
    };
    let fault = fault_of(source);
    match (fault, error) {
        (RowFault::Watch, StageError::Lookup { column, .. }) => {
            context.failed(watch, WatchPart::Lookup(column.clone()), &chain(source));
        }
        (RowFault::Watch, _) => context.broke(watch, chain(source)),
        _ => {}
    }
    Some((watch, fault))
}

/// Whose fault an error is, by its SQLSTATE; without one, by whether a value could not be read.
pub fn fault_of(error: &tokio_postgres::Error) -> RowFault {
    let Some(code) = error.code().map(tokio_postgres::error::SqlState::code) else {
        // What else fails without an answer of the server is the connection, and that is an I/O error.
        let is_value = !error.is_closed()
            && error.source().is_some_and(|source| !source.is::<std::io::Error>());
        return if is_value { RowFault::Row } else { RowFault::Server };
    };
    match code.get(..2) {
        _ if code == "57014" => RowFault::Slow,
        Some("42") => RowFault::Watch,
        Some("08" | "25" | "40" | "53" | "55" | "57" | "58") => RowFault::Server,
        _ => RowFault::Row,
    }
}
