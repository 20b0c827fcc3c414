//! The queries that find and end what concerns one phone.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::{Error, Row as SqlRow};

use crate::domain::value::row::Row;
use crate::postgres::capture::row_query::object;
use crate::postgres::connection::statement::{named, statements};
use crate::postgres::queries::retention::RetentionBatch;

/// A message, or a change that is not folded yet, that may concern somebody.
#[derive(Clone, Debug)]
pub struct Concerned {
    pub id: i64,
    pub watch: String,
    pub entity_key: String,
    pub captured: Option<Row>,
    /// Whether it names the phone.
    pub is_theirs: bool,
}

pub async fn forget_find(
    tx: &Transaction<'_>,
    above: i64,
    to: i64,
    forms: &[String],
) -> Result<Vec<Concerned>, Error> {
    let rows = named!(tx, "forget/forget_find", &[&above, &to, &forms])?;
    rows.iter().map(|row| concerned(row, row.try_get("is_theirs")?)).collect()
}

pub async fn forget_changes(tx: &Transaction<'_>) -> Result<Vec<Concerned>, Error> {
    named!(tx, "forget/forget_changes", &[])?.iter().map(|row| concerned(row, false)).collect()
}

fn concerned(row: &SqlRow, is_theirs: bool) -> Result<Concerned, Error> {
    Ok(Concerned {
        id: row.try_get(0)?,
        watch: row.try_get("watch")?,
        entity_key: row.try_get("entity_key")?,
        captured: object(row, "captured")?,
        is_theirs,
    })
}

/// The last id of the next `count` messages.
pub async fn forget_range(
    tx: &Transaction<'_>,
    above: i64,
    count: i64,
) -> Result<Option<i64>, Error> {
    named!(tx, "forget/forget_range", &[&above, &count])?[0].try_get(0)
}

/// How many messages still have to leave, and how many are leaving right now.
pub async fn forget_open(tx: &Transaction<'_>, messages: &[i64]) -> Result<(i64, i64), Error> {
    let rows = named!(tx, "forget/forget_open", &[&messages])?;
    Ok((rows[0].try_get(0)?, rows[0].try_get(1)?))
}

pub async fn forget_count_receipts(tx: &Transaction<'_>, forms: &[String]) -> Result<i64, Error> {
    named!(tx, "forget/forget_count_receipts", &[&forms])?[0].try_get(0)
}

pub async fn forget_receipts(
    tx: &Transaction<'_>,
    above: i64,
    forms: &[String],
    count: i64,
) -> Result<RetentionBatch, Error> {
    let rows = named!(tx, "forget/forget_receipts", &[&above, &forms, &count])?;
    Ok(RetentionBatch { last_id: rows[0].try_get(0)?, done: rows[0].try_get(1)? })
}

statements! {
    /// The messages of entities that name nobody.
    forget_entities(tx: &Transaction<'_>, watches: &[&str], keys: &[&str])
        -> Vec<i64> = "forget/forget_entities";

    /// Ends what is open.
    forget_end(tx: &Transaction<'_>, messages: &[i64], now: Timestamp)
        -> () = "forget/forget_end";

    forget_drop_changes(tx: &Transaction<'_>, changes: &[i64])
        -> () = "forget/forget_drop_changes";

    /// `phone_key` is the phone in the form for comparing.
    forget_unmatched(tx: &Transaction<'_>, phone_key: &str)
        -> () = "forget/forget_unmatched";

    forget_opt_out_requests(tx: &Transaction<'_>, forms: &[String])
        -> () = "forget/forget_opt_out_requests";
}
