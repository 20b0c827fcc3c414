//! The queries that remove personal data and old rows.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;

/// One kind of removal; its words are those of `rowbell.retention.task`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Task {
    #[strum(serialize = "redact_messages")]
    BlankMessages,
    #[strum(serialize = "redact_receipts")]
    BlankReceipts,
    RemoveMessages,
    RemoveReceipts,
}

/// What one batch did.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// None: there was nothing left to look at.
    pub last_id: Option<i64>,
    pub done: i64,
}

/// How far a task has come, and when it last began from the first id.
pub async fn retention_read(
    tx: &Transaction<'_>,
    task: Task,
) -> Result<Option<(i64, Timestamp)>, Error> {
    let rows = named!(tx, "retention/retention_read", &[&task.into_str()])?;
    rows.first().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

pub async fn retention_write(
    tx: &Transaction<'_>,
    task: Task,
    done_to: i64,
    began_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    named!(tx, "retention/retention_write", &[&task.into_str(), &done_to, &began_at, &now])?;
    Ok(())
}

/// The id below which everything is older than `time`.
pub async fn retention_limit(
    tx: &Transaction<'_>,
    task: Task,
    time: Timestamp,
) -> Result<i64, Error> {
    let rows = match task {
        Task::BlankMessages | Task::RemoveMessages => {
            named!(tx, "retention/retention_message_limit", &[&time])?
        }
        Task::BlankReceipts | Task::RemoveReceipts => {
            named!(tx, "retention/retention_receipt_limit", &[&time])?
        }
    };
    rows[0].try_get(0)
}

/// Works on at most `count` rows with ids above `above` and below `below`.
pub async fn retention_batch(
    tx: &Transaction<'_>,
    task: Task,
    above: i64,
    below: i64,
    count: i64,
    now: Timestamp,
) -> Result<Batch, Error> {
    let rows = match task {
        Task::BlankMessages => {
            let rows = named!(tx, "retention/retention_pick", &[&above, &below, &count])?;
            let last_id = rows.first().map(|row| row.try_get(0)).transpose()?;
            let picked: Vec<Option<i64>> =
                rows.iter().map(|row| row.try_get(1)).collect::<Result<_, Error>>()?;
            let picked: Vec<i64> = picked.into_iter().flatten().collect();
            let done = blank_messages(tx, &picked, now).await? as i64;
            return Ok(Batch { last_id, done });
        }
        Task::BlankReceipts => {
            named!(tx, "retention/retention_blank_receipts", &[&above, &below, &count])?
        }
        Task::RemoveMessages => {
            named!(tx, "retention/retention_remove_messages", &[&above, &below, &count])?
        }
        Task::RemoveReceipts => {
            named!(tx, "retention/retention_remove_receipts", &[&above, &below, &count])?
        }
    };
    Ok(Batch { last_id: rows[0].try_get(0)?, done: rows[0].try_get(1)? })
}

/// Removes the personal data of messages that the caller has locked; gives how many it were.
pub async fn blank_messages(
    tx: &Transaction<'_>,
    messages: &[i64],
    now: Timestamp,
) -> Result<usize, Error> {
    if messages.is_empty() {
        return Ok(0);
    }
    Ok(named!(tx, "retention/blank_messages", &[&messages, &now])?.len())
}

/// Removes wishes about further messages that are older than `before`.
pub async fn retention_wishes(
    tx: &Transaction<'_>,
    before: Timestamp,
    count: i64,
) -> Result<usize, Error> {
    Ok(named!(tx, "retention/retention_wishes", &[&before, &count])?.len())
}

/// Removes changes that no watch will ever take.
pub async fn retention_changes(
    tx: &Transaction<'_>,
    before: Timestamp,
    watches: &[&str],
    count: i64,
) -> Result<usize, Error> {
    Ok(named!(tx, "retention/retention_changes", &[&before, &watches, &count])?.len())
}
