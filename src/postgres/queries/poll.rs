//! The queries of poll, and of the receipt sources of a channel.

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use crate::domain::message::poll_schedule::{PollGroupState, PollState};
use crate::domain::message::receipt::{ReceiptSourceKind, ReceiptSourceState};
use crate::domain::message::state::State;
use crate::postgres::connection::statement::{named, statements};
use crate::postgres::connection::word::word;
use crate::postgres::queries::settle::Ask;

/// Messages that were accepted together and whose end is asked for.
#[derive(Clone, Debug)]
pub struct PollGroup {
    pub poll_id: i64,
    pub due_at: Timestamp,
    pub message_ids: Vec<i64>,
    pub group: PollGroupState,
    pub asked_count: u32,
}

/// Takes the groups of a channel that are due, above a bound, until `lease_until`.
pub async fn poll_take(
    client: &Client,
    channel: &str,
    now: Timestamp,
    above: (Timestamp, i64),
    limit: i64,
    lease_until: Timestamp,
) -> Result<Vec<PollGroup>, Error> {
    let params: &[&(dyn ToSql + Sync)] =
        &[&channel, &now, &above.0, &above.1, &limit, &lease_until];
    let rows = named!(client, "poll/poll_take", params)?;
    let mut groups = Vec::with_capacity(rows.len());
    for row in rows {
        groups.push(PollGroup {
            poll_id: row.try_get("poll_id")?,
            due_at: row.try_get("due_at")?,
            message_ids: row.try_get("message_ids")?,
            group: PollGroupState {
                accepted_at: row.try_get("accepted_at")?,
                asked_at: row.try_get("asked_at")?,
            },
            asked_count: row.try_get::<_, i32>("asked_count")?.unsigned_abs(),
        });
    }
    groups.sort_by_key(|group| (group.due_at, group.poll_id));
    Ok(groups)
}

/// Where accepted messages stand, with their ids at the provider.
pub async fn poll_look(
    client: &Client,
    message_ids: &[i64],
) -> Result<Vec<(i64, String, PollState)>, Error> {
    let mut looked = Vec::new();
    for row in named!(client, "poll/poll_look", &[&message_ids])? {
        // Whatever it failed for, it is asked for alike.
        let state = State::parse(row.try_get("state")?, Some("undeliverable"));
        let Some(state) = state else { continue };
        let looks = PollState { state, finished_at: row.try_get("finished_at")? };
        looked.push((row.try_get("message_id")?, row.try_get("provider_message_id")?, looks));
    }
    Ok(looked)
}

/// What is left of the groups that were taken: `kept` is group and message, `due` group and time.
pub async fn poll_write(
    tx: &Transaction<'_>,
    kept: &[(i64, i64)],
    due: &[(i64, Timestamp)],
    asked_at: Timestamp,
) -> Result<(), Error> {
    let (groups, messages): (Vec<i64>, Vec<i64>) = kept.iter().copied().unzip();
    let (taken, at): (Vec<i64>, Vec<Timestamp>) = due.iter().copied().unzip();
    named!(tx, "poll/poll_write", &[&groups, &messages, &taken, &at, &asked_at]).map(drop)
}

statements! {
    poll_lost(tx: &Transaction<'_>, message_ids: &[i64], why: &str, now: Timestamp)
        -> () = "poll/poll_lost";
}

/// A message was accepted that no batch of acceptances had.
pub async fn poll_enroll(
    tx: &Transaction<'_>,
    message_id: i64,
    channel: &str,
    now: Timestamp,
    ask: Ask<'_>,
) -> Result<(), Error> {
    named!(tx, "poll/poll_enroll", &[&message_id, &channel, &now, &ask.at, &ask.of]).map(drop)
}

/// When the next group of a channel is due.
pub async fn poll_next(client: &Client, channel: &str) -> Result<Option<Timestamp>, Error> {
    let rows = named!(client, "poll/poll_next", &[&channel])?;
    rows.first().map(|row| row.try_get(0)).transpose()
}

pub async fn receipt_source_write(
    client: &Client,
    channel: &str,
    receipt_source: ReceiptSourceKind,
    state: ReceiptSourceState,
    detail: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    let params: &[&(dyn ToSql + Sync)] =
        &[&channel, &receipt_source.into_str(), &state.into_str(), &detail, &now];
    named!(client, "receive/receipt_source_write", params).map(drop)
}

/// Something was posted for a channel that is not understood.
pub async fn receipt_source_unread(
    client: &Client,
    channel: &str,
    detail: &str,
    now: Timestamp,
) -> Result<(), Error> {
    named!(client, "receive/receipt_source_unread", &[&channel, &detail, &now]).map(drop)
}

/// Since when the provider does not answer questions for receipts on a channel, if that is so.
pub async fn polling_missing_since(
    client: &Client,
    channel: &str,
) -> Result<Option<Timestamp>, Error> {
    for row in named!(client, "receive/receipt_source_read", &[])? {
        let is_polling = word::<ReceiptSourceKind>(&row, "kind")? == ReceiptSourceKind::Polling;
        let is_missing = word::<ReceiptSourceState>(&row, "state")? == ReceiptSourceState::Missing;
        if is_polling && is_missing && row.try_get::<_, &str>("channel")? == channel {
            return Ok(Some(row.try_get("since")?));
        }
    }
    Ok(None)
}
