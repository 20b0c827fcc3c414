//! What the operator was told, and has still to be told.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;

use crate::domain::alert::{AlertCause, AlertKind};
use crate::postgres::connection::statement::{array, named, row, statements};
use crate::postgres::connection::word::word;

row! {
    /// Something that the operator has still to be told: that it began, or that it is over.
    #[derive(Clone, Debug)]
    pub struct DueAlert {
        pub alert_id: i64,
        pub kind: AlertKind = word,
        pub what: String,
        pub began_at: Timestamp,
        pub is_over: bool,
        pub attempt_count: i32,
    }
}

/// Writes down what needs a person now. What has been away since `settled` is over.
pub async fn alert_note(
    tx: &Transaction<'_>,
    causes: &[AlertCause],
    now: Timestamp,
    settled: Timestamp,
) -> Result<(), Error> {
    let kinds = array(causes, |cause| cause.kind.into_str());
    let subjects = array(causes, |cause| cause.subject.as_str());
    let whats = array(causes, |cause| cause.what.as_str());
    named!(tx, "alert/alert_note", &[&kinds, &subjects, &whats, &now, &settled])?;
    Ok(())
}

statements! {
    alert_take(tx: &Transaction<'_>, now: Timestamp, busy_until: Timestamp, count: i64)
        -> Vec<DueAlert> = "alert/alert_take";

    alert_told(
        tx: &Transaction<'_>,
        alerts: &[i64],
        told_at: Option<Timestamp>,
        busy_until: Option<Timestamp>,
    ) -> () = "alert/alert_told";
}
