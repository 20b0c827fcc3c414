//! The figures of each day, counted.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use crate::postgres::connection::statement::{named, row, statements};
use crate::postgres::queries::retention::{RetentionTask, retention_limit};

row! {
    /// When it was looked last which days have to be counted, and by the clock of which time zone.
    #[derive(Clone, Debug)]
    pub struct DayLook {
        pub looked_at: Option<Timestamp>,
        pub time_zone: Option<String>,
    }
}

/// How days are counted.
#[derive(Clone, Copy, Debug)]
pub struct DayScope<'a> {
    /// The clock of the site.
    pub time_zone: &'a str,
    /// Messages that were opened since are all there; None: all are.
    pub whole_since: Option<Timestamp>,
}

statements! {
    /// None: a daemon looked since then, or looks now.
    day_begin(tx: &Transaction<'_>, looked_before: Timestamp)
        -> Option<DayLook> = "day/day_begin";

    day_looked(tx: &Transaction<'_>, now: Timestamp, time_zone: &str)
        -> () = "day/day_looked";

    /// Locks a day that has to be counted.
    day_next(tx: &Transaction<'_>)
        -> Option<String> = "day/day_next";

    day_count(tx: &Transaction<'_>, day: &str, time_zone: &str, now: Timestamp)
        -> () = "day/day_count";

    day_measure(tx: &Transaction<'_>, day: &str, time_zone: &str)
        -> () = "day/day_measure";
}

/// What was counted by another clock is counted anew, as far as it can be.
pub async fn day_forget(tx: &Transaction<'_>, scope: DayScope<'_>) -> Result<(), Error> {
    named!(tx, "day/day_forget", &[&scope.time_zone, &scope.whole_since]).map(drop)
}

/// Finds the days of which something may have changed since; None: all days.
pub async fn day_touch(
    tx: &Transaction<'_>,
    scope: DayScope<'_>,
    since: Option<Timestamp>,
) -> Result<(), Error> {
    let (mut first_message, mut first_receipt) = (0, 0);
    if let Some(since) = since {
        first_message = retention_limit(tx, RetentionTask::RemoveMessages, since).await?;
        first_receipt = retention_limit(tx, RetentionTask::RemoveReceipts, since).await?;
    }
    let DayScope { time_zone, whole_since } = scope;
    let params: &[&(dyn ToSql + Sync)] =
        &[&time_zone, &whole_since, &since, &first_message, &first_receipt];
    named!(tx, "day/day_touch", params).map(drop)
}
