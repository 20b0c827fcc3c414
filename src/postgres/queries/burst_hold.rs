//! The queries of storms: what a transaction changed, and the holds that its messages join.

use std::collections::BTreeSet;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;

use crate::postgres::queries::statement::{named, statements};

/// Transaction, watch and entity of what these transactions changed beyond a change.
pub async fn storm_ahead(
    tx: &Transaction<'_>,
    beyond: i64,
    transactions: &BTreeSet<i64>,
    most: usize,
) -> Result<Vec<(i64, String, String)>, Error> {
    let ids: Vec<String> = transactions.iter().map(i64::to_string).collect();
    let rows = named!(tx, "claim/storm_ahead", &[&beyond, &ids, &(most as i64)])?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
}

/// Opens a hold; its id.
pub async fn storm_open(
    tx: &Transaction<'_>,
    watch: &str,
    transaction: Option<i64>,
    reason: &str,
    now: Timestamp,
) -> Result<i64, Error> {
    let rows = named!(tx, "claim/storm_open", &[&watch, &transaction, &reason, &now])?;
    rows[0].try_get(0)
}

/// Messages and the holds that they join.
pub async fn storm_join(
    tx: &Transaction<'_>,
    joining: &[(i64, i64)],
    now: Timestamp,
) -> Result<(), Error> {
    let (messages, holds): (Vec<i64>, Vec<i64>) = joining.iter().copied().unzip();
    named!(tx, "claim/storm_join", &[&messages, &holds, &now]).map(drop)
}

statements! {
    /// Messages of a watch that wait to leave for the first time and tell of changes made since then.
    storm_gather(tx: &Transaction<'_>, watch: &str, since: Timestamp)
        -> Vec<i64> = "claim/storm_gather";
}
