//! Decides row by row where a batch failed on the data of some row, so that only that row fails.

use std::time::Duration;

use deadpool_postgres::Transaction;

use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::state::{Failure, WaitsFor};
use crate::domain::notice;
use crate::pipeline::context::context::{CompiledWatch, Context};
use crate::pipeline::context::read_fault::{RowFault, fault_of};
use crate::pipeline::context::stage::{StageError, chain};
use crate::pipeline::gate::blockers::Blockers;
use crate::pipeline::gate::decide::decide;

/// How long a row waits that took too long to be read: it would hold up the others each time.
const SLOW_WAIT: Duration = Duration::from_secs(10 * 60);

/// The row at fault fails; the others are not held up by it.
pub async fn one_by_one(
    tx: &Transaction<'_>,
    context: &Context,
    compiled: &CompiledWatch,
    blockers: &Blockers,
    messages: Vec<Message>,
    limit: usize,
) -> Result<Vec<Message>, StageError> {
    let mut decided: Vec<Message> = Vec::with_capacity(messages.len());
    for mut message in messages {
        tx.batch_execute("savepoint one_row").await?;
        let leave = decided.iter().filter(|decided| decided.words.is_some()).count();
        let (one, room) = (vec![message.clone()], limit.saturating_sub(leave));
        match decide(tx, context, compiled, blockers, one, room).await {
            Ok(messages) => decided.extend(messages),
            Err(StageError::Read { source, watch }) => {
                let text = chain(&source);
                let decision = match fault_of(&source) {
                    RowFault::Row => {
                        tell(&watch, &message, &source);
                        Decision::Fail(Failure::Unwritable, text)
                    }
                    RowFault::Slow => {
                        tracing::warn!(watch, error = %text, "a row could not be read in time; it waits");
                        Decision::defer(context.clock.now() + SLOW_WAIT, WaitsFor::Watch, text)
                    }
                    RowFault::Watch | RowFault::Server => {
                        return Err(StageError::Read { source, watch });
                    }
                };
                decision.apply_to(&mut message);
                decided.push(message);
                tx.batch_execute("rollback to savepoint one_row").await?;
            }
            Err(error) => return Err(error),
        }
        tx.batch_execute("release savepoint one_row").await?;
    }
    Ok(decided)
}

/// What the database says of a row quotes its values: that stands with the message, and in no log.
fn tell(watch: &str, message: &Message, error: &tokio_postgres::Error) {
    tracing::error!(target: notice::ROW_NOT_WORDED,
        watch,
        message.id = message.message_id,
        code = error.code().map(tokio_postgres::error::SqlState::code),
        "a row cannot be put into words; rowbell_report.failures says why"
    );
}
