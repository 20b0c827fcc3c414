//! The queries that remove personal data and old rows.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;

use crate::postgres::connection::statement::{FromRows, named, statements};

/// One kind of removal; its words are those of `rowbell.retention.task`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum RetentionTask {
    #[strum(serialize = "redact_messages")]
    RedactMessages,
    #[strum(serialize = "redact_receipts")]
    RedactReceipts,
    RemoveMessages,
    RemoveReceipts,
}

/// What one batch did.
#[derive(Clone, Copy, Debug)]
pub struct RetentionBatch {
    /// None: there was nothing left to look at.
    pub last_id: Option<i64>,
    pub done: i64,
}

/// How far a task has come, and when it last began from the first id.
pub async fn retention_read(
    tx: &Transaction<'_>,
    task: RetentionTask,
) -> Result<Option<(i64, Timestamp)>, Error> {
    let rows = named!(tx, "retention/retention_read", &[&task.into_str()])?;
    FromRows::from_rows(&rows)
}

pub async fn retention_write(
    tx: &Transaction<'_>,
    task: RetentionTask,
    done_to: i64,
    began_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    named!(tx, "retention/retention_write", &[&task.into_str(), &done_to, &began_at, &now])
        .map(drop)
}

/// The id below which everything is older than `time`.
pub async fn retention_limit(
    tx: &Transaction<'_>,
    task: RetentionTask,
    time: Timestamp,
) -> Result<i64, Error> {
    let rows = match task {
        RetentionTask::RedactMessages | RetentionTask::RemoveMessages => {
            named!(tx, "retention/retention_message_limit", &[&time])?
        }
        RetentionTask::RedactReceipts | RetentionTask::RemoveReceipts => {
            named!(tx, "retention/retention_receipt_limit", &[&time])?
        }
    };
    rows[0].try_get(0)
}

/// Works on at most `count` rows with ids above `above` and below `below`.
pub async fn retention_batch(
    tx: &Transaction<'_>,
    task: RetentionTask,
    above: i64,
    below: i64,
    count: i64,
    now: Timestamp,
) -> Result<RetentionBatch, Error> {
    let rows = match task {
        RetentionTask::RedactMessages => {
            let rows = named!(tx, "retention/retention_pick", &[&above, &below, &count])?;
            let last_id = rows.first().map(|row| row.try_get(0)).transpose()?;
            let picked: Vec<Option<i64>> =
                rows.iter().map(|row| row.try_get(1)).collect::<Result<_, Error>>()?;
            let picked: Vec<i64> = picked.into_iter().flatten().collect();
            let done = redact_messages(tx, &picked, now).await? as i64;
            return Ok(RetentionBatch { last_id, done });
        }
        RetentionTask::RedactReceipts => {
            named!(tx, "retention/retention_redact_receipts", &[&above, &below, &count])?
        }
        RetentionTask::RemoveMessages => {
            named!(tx, "retention/retention_remove_messages", &[&above, &below, &count])?
        }
        RetentionTask::RemoveReceipts => {
            named!(tx, "retention/retention_remove_receipts", &[&above, &below, &count])?
        }
    };
    Ok(RetentionBatch { last_id: rows[0].try_get(0)?, done: rows[0].try_get(1)? })
}

/// Removes the personal data of messages that the caller has locked; gives how many it were.
pub async fn redact_messages(
    tx: &Transaction<'_>,
    messages: &[i64],
    now: Timestamp,
) -> Result<usize, Error> {
    if messages.is_empty() {
        return Ok(0);
    }
    Ok(named!(tx, "retention/redact_messages", &[&messages, &now])?.len())
}

statements! {
    /// Removes requests to opt out or in that are older than `before`.
    retention_opt_out_requests(tx: &Transaction<'_>, before: Timestamp, count: i64)
        -> usize = "retention/retention_opt_out_requests";

    /// Removes changes that no watch will ever take.
    retention_changes(tx: &Transaction<'_>, before: Timestamp, watches: &[&str], count: i64)
        -> usize = "retention/retention_changes";
}
