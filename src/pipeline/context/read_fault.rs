//! Whose fault it is that the rows of a watch could not be read.

use tokio_postgres::error::SqlState;

use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{StageError, chain};
use crate::postgres::capture::proof::WatchPart;
use crate::postgres::connection::statement::is_of_the_server;

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
    match error.code().map(SqlState::code) {
        Some("57014") => RowFault::Slow,
        _ if is_of_the_server(error) => RowFault::Server,
        Some(code) if code.starts_with("42") => RowFault::Watch,
        _ => RowFault::Row,
    }
}
