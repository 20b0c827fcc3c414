//! Decides row by row where a batch failed on the data of some row, so that only that row fails.

use std::error::Error as _;
use std::time::Duration;

use deadpool_postgres::Transaction;

use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::state::{Failure, WaitsFor};
use crate::pipeline::context::context::{CompiledWatch, Context};
use crate::pipeline::context::stage::{StageError, chain};
use crate::pipeline::gate::blockers::Blockers;
use crate::pipeline::gate::decide::decide;

/// How long a row waits that took too long to be read: it would hold up the others each time.
const SLOW_WAIT: Duration = Duration::from_secs(10 * 60);

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

/// The row at fault fails; the others are not held up by it.
pub async fn one_by_one(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    blockers: &Blockers,
    messages: &[Message],
) -> Result<Vec<Decision>, StageError> {
    let mut decisions = Vec::with_capacity(messages.len());
    for message in messages {
        tx.batch_execute("savepoint one_row").await?;
        match decide(tx, context, compiled, blockers, std::slice::from_ref(message)).await {
            Ok(decision) => decisions.extend(decision),
            Err(StageError::Read { source, watch }) => {
                let text = chain(&source);
                decisions.push(match fault_of(&source) {
                    RowFault::Row => {
                        tell(&watch, message, &source);
                        Decision::Fail(Failure::Unwritable, text)
                    }
                    RowFault::Slow => {
                        tracing::warn!(watch, error = %text, "a row could not be read in time; it waits");
                        Decision::defer(context.clock.now() + SLOW_WAIT, WaitsFor::Watch, text)
                    }
                    RowFault::Watch | RowFault::Server => return Err(StageError::Read { source, watch }),
                });
                tx.batch_execute("rollback to savepoint one_row").await?;
            }
            Err(error) => return Err(error),
        }
        tx.batch_execute("release savepoint one_row").await?;
    }
    Ok(decisions)
}

/// What the database says of a row quotes its values: that stands with the message, and in no log.
fn tell(watch: &str, message: &Message, error: &tokio_postgres::Error) {
    tracing::error!(
        watch,
        message.id = message.message_id,
        code = error.code().map(tokio_postgres::error::SqlState::code),
        "a row cannot be put into words; rowbell_report.failures says why"
    );
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
