//! The queries of fallbacks.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;

use crate::domain::message::fallback::{FallbackCause, FallbackWait};
use crate::domain::message::state::State;
use crate::postgres::connection::statement::{FromRows, array, named, statements};
use crate::postgres::connection::word::word;

/// These messages may have to go to the next channel of their watch: `failed` and `skipped` now,
/// `undelivered` if nothing else is heard by then.
pub async fn fallback_await(
    tx: &Transaction<'_>,
    message_ids: &[i64],
    cause: FallbackCause,
    due_at: Timestamp,
) -> Result<(), Error> {
    if !message_ids.is_empty() {
        named!(tx, "follow_up/fallback_await", &[&message_ids, &cause.into_str(), &due_at])?;
    }
    Ok(())
}

/// A message that may have to go to the next channel.
#[derive(Clone, Debug)]
pub struct DueFallback {
    pub message_id: i64,
    pub due_at: Timestamp,
    pub cause: FallbackCause,
    /// None: the message is gone, or its state is of a newer release.
    pub message: Option<Unreached>,
}

#[derive(Clone, Debug)]
pub struct Unreached {
    pub watch: String,
    pub channel: String,
    pub state: State,
    /// A newer message of the entity says it, or one of the same chain arrived after all.
    pub is_told: bool,
    /// Errors have stopped the channel or the template.
    pub is_circuit_open: bool,
    /// WhatsApp refused it because the recipient has stopped messages of this business.
    pub is_opt_out: bool,
    /// Receipts of the channel came since the message was accepted.
    pub has_receipts: bool,
}

pub async fn fallback_due(
    tx: &Transaction<'_>,
    now: Timestamp,
    limit: i64,
    above: (Timestamp, i64),
    opt_out_code: i32,
) -> Result<Vec<DueFallback>, Error> {
    let rows =
        named!(tx, "follow_up/fallback_due", &[&now, &limit, &above.0, &above.1, &opt_out_code])?;
    rows.iter().map(due).collect()
}

fn due(row: &tokio_postgres::Row) -> Result<DueFallback, Error> {
    let state: Option<&str> = row.try_get("state")?;
    let state = state.map(|state| Ok::<_, Error>(State::parse(state, row.try_get("reason")?)));
    let message = match state.transpose()?.flatten() {
        None => None,
        Some(state) => Some(Unreached {
            watch: row.try_get("watch")?,
            channel: row.try_get("channel")?,
            state,
            is_told: row.try_get("is_told")?,
            is_circuit_open: row.try_get("is_circuit_open")?,
            is_opt_out: row.try_get::<_, Option<bool>>("is_opt_out")?.unwrap_or(false),
            has_receipts: row.try_get::<_, Option<bool>>("has_receipts")?.unwrap_or(false),
        }),
    };
    Ok(DueFallback {
        message_id: row.try_get("message_id")?,
        due_at: row.try_get("due_at")?,
        cause: word(row, "cause")?,
        message,
    })
}

/// A message that goes on: its id, the next channel, and why.
pub type FallbackSource = (i64, String, String);

/// Opens what stands in for these messages; returns the new ones.
pub async fn fallback_open(
    tx: &Transaction<'_>,
    sources: &[FallbackSource],
    now: Timestamp,
) -> Result<Vec<i64>, Error> {
    let ids = array(sources, |(id, ..)| *id);
    let channels = array(sources, |(_, channel, _)| channel.as_str());
    let reasons = array(sources, |(.., why)| why.as_str());
    let rows = named!(tx, "follow_up/fallback_open", &[&ids, &channels, &reasons, &now])?;
    FromRows::from_rows(&rows)
}

statements! {
    fallback_done(tx: &Transaction<'_>, message_ids: &[i64])
        -> () = "follow_up/fallback_done";

    /// What stands in for messages that arrived after all is not needed, unless it tells more by now. Returns
    /// watch and channel of each that is withdrawn.
    fallback_withdraw(tx: &Transaction<'_>, arrived: &[i64], now: Timestamp)
        -> Vec<(String, String)> = "follow_up/fallback_withdraw";
}

pub async fn fallback_later(
    tx: &Transaction<'_>,
    later: &[(i64, FallbackWait)],
    due_at: Timestamp,
) -> Result<(), Error> {
    let (ids, waits): (Vec<i64>, Vec<&str>) =
        later.iter().map(|(id, wait)| (*id, wait.into_str())).unzip();
    named!(tx, "follow_up/fallback_later", &[&ids, &due_at, &waits]).map(drop)
}
