//! The queries of settle, receive and sweep.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use crate::domain::attempt::{Answer, AttemptResult};
use crate::domain::message::State;
use crate::domain::receipt::{Receipt, ReceiptStatus};

/// An acceptance to store.
#[derive(Clone, Debug)]
pub struct Acceptance<'a> {
    pub message_id: i64,
    pub attempt: i16,
    pub provider_message_id: &'a str,
    pub http_status: Option<i16>,
    /// When it goes on to the next channel unless it is delivered.
    pub undelivered_at: Option<Timestamp>,
}

/// Stores acceptances; returns the messages that moved, and whether receipts outran the answer.
pub async fn settle_accepted(
    client: &deadpool_postgres::Client,
    accepted: &[Acceptance<'_>],
    now: Timestamp,
) -> Result<Vec<(i64, bool)>, Error> {
    let ids: Vec<i64> = accepted.iter().map(|a| a.message_id).collect();
    let numbers: Vec<i16> = accepted.iter().map(|a| a.attempt).collect();
    let provider_ids: Vec<&str> = accepted.iter().map(|a| a.provider_message_id).collect();
    let statuses: Vec<Option<i16>> = accepted.iter().map(|a| a.http_status).collect();
    let undelivered: Vec<Option<Timestamp>> = accepted.iter().map(|a| a.undelivered_at).collect();
    let params: &[&(dyn ToSql + Sync)] =
        &[&ids, &numbers, &provider_ids, &statuses, &now, &undelivered];
    let rows = named!(client, "settle_accepted", params)?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Where a message stands, locked.
#[derive(Clone, Debug)]
pub struct Standing {
    pub state: State,
    pub attempt_count: i16,
    pub watch: String,
    pub entity_key: String,
    pub channel: String,
    /// Template and language at the provider, once it is put into words.
    pub template: Option<(String, String)>,
    /// Nothing was folded into it since it was settled last.
    pub is_as_settled: bool,
}

/// Locks a message. None when there is no such message, or its state is of a newer release.
pub async fn settle_lock(tx: &Transaction<'_>, message_id: i64) -> Result<Option<Standing>, Error> {
    let rows = named!(tx, "settle_lock", &[&message_id])?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let Some(state) = State::parse(row.try_get("state")?, row.try_get("reason")?) else {
        return Ok(None);
    };
    Ok(Some(Standing {
        state,
        attempt_count: row.try_get("attempt_count")?,
        watch: row.try_get("watch")?,
        entity_key: row.try_get("entity_key")?,
        channel: row.try_get("channel")?,
        template: Option::zip(row.try_get("template")?, row.try_get("language")?),
        is_as_settled: row.try_get("is_as_settled")?,
    }))
}

pub async fn settle_attempt(
    tx: &Transaction<'_>,
    message_id: i64,
    attempt: i16,
    answer: &Answer,
    now: Timestamp,
) -> Result<(), Error> {
    let result = answer.result.as_str();
    let http_status = answer.http_status.and_then(|status| i16::try_from(status).ok());
    let (class, provider_id) = match &answer.result {
        AttemptResult::Accepted { provider_message_id } => (None, Some(provider_message_id)),
        AttemptResult::Refused { class, .. } => (Some(class.as_str()), None),
        AttemptResult::NotSent | AttemptResult::Unknown => (None, None),
    };
    let params: &[&(dyn ToSql + Sync)] = &[
        &message_id,
        &attempt,
        &result,
        &http_status,
        &class,
        &answer.error_code,
        &answer.error_text,
        &provider_id,
        &answer.response,
        &now,
    ];
    named!(tx, "settle_attempt", params)?;
    Ok(())
}

/// Where a message goes.
#[derive(Clone, Debug)]
pub struct Move<'a> {
    pub message_id: i64,
    pub state: State,
    pub reason_text: Option<String>,
    pub due_at: Option<Timestamp>,
    pub provider_message_id: Option<&'a str>,
    /// When it happened, by the evidence.
    pub happened_at: Timestamp,
    pub now: Timestamp,
}

pub async fn settle_move(tx: &Transaction<'_>, to: &Move<'_>) -> Result<(), Error> {
    let params: &[&(dyn ToSql + Sync)] = &[
        &to.message_id,
        &to.state.as_str(),
        &to.state.reason(),
        &to.reason_text,
        &to.due_at,
        &to.provider_message_id,
        &to.happened_at,
        &to.now,
    ];
    named!(tx, "settle_move", params)?;
    Ok(())
}

pub async fn settle_queue(
    tx: &Transaction<'_>,
    message_id: i64,
    state: &str,
    due_at: Timestamp,
) -> Result<(), Error> {
    named!(tx, "settle_queue", &[&message_id, &state, &due_at])?;
    Ok(())
}

pub async fn settle_leave_queue(tx: &Transaction<'_>, message_id: i64) -> Result<(), Error> {
    named!(tx, "settle_leave_queue", &[&message_id])?;
    Ok(())
}

/// A later message of the same entity that says what this one would say.
pub async fn settle_sibling(
    tx: &Transaction<'_>,
    standing: &Standing,
    message_id: i64,
) -> Result<Option<i64>, Error> {
    let rows = named!(tx, "settle_sibling", &[&standing.watch, &standing.entity_key, &message_id])?;
    rows.first().map(|row| row.try_get(0)).transpose()
}

/// A stored receipt of a message that we know.
#[derive(Clone, Debug)]
pub struct KnownReceipt {
    pub message_id: i64,
    /// The attempt that it is about.
    pub attempt: i16,
    pub status: ReceiptStatus,
    pub error_code: Option<i32>,
    pub error_text: Option<String>,
    pub happened_at: Timestamp,
    pub provider_message_id: String,
}

pub async fn settle_receipts(
    tx: &Transaction<'_>,
    provider_ids: &[&str],
) -> Result<Vec<KnownReceipt>, Error> {
    let rows = named!(tx, "settle_receipts", &[&provider_ids])?;
    rows.iter()
        .map(|row| {
            Ok(KnownReceipt {
                message_id: row.try_get("message_id")?,
                attempt: row.try_get("number")?,
                status: ReceiptStatus::from_wire(row.try_get("status")?),
                error_code: row.try_get("error_code")?,
                error_text: row.try_get("error_text")?,
                happened_at: row.try_get("happened_at")?,
                provider_message_id: row.try_get("provider_message_id")?,
            })
        })
        .collect()
}

/// Keeps evidence as it came.
pub async fn receive_store(
    tx: &Transaction<'_>,
    channel: &str,
    receipts: &[Receipt],
    source: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let channels = vec![channel; receipts.len()];
    let ids: Vec<&str> = receipts.iter().map(|r| r.provider_message_id.as_str()).collect();
    let statuses: Vec<&str> = receipts.iter().map(|r| r.status.as_str()).collect();
    let codes: Vec<Option<i32>> = receipts.iter().map(|r| r.error_code).collect();
    let texts: Vec<Option<&str>> = receipts.iter().map(|r| r.error_text.as_deref()).collect();
    let occurred: Vec<Option<Timestamp>> = receipts.iter().map(|r| r.occurred_at).collect();
    let raw: Vec<&str> = receipts.iter().map(|r| r.raw.as_str()).collect();
    let params: &[&(dyn ToSql + Sync)] =
        &[&channels, &ids, &statuses, &codes, &texts, &occurred, &raw, &now, &source];
    named!(tx, "receive_store", params)?;
    Ok(())
}

/// Messages whose lease ran out, with the number of the attempt in doubt.
pub async fn sweep_leases(
    tx: &Transaction<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(i64, i16)>, Error> {
    let rows = named!(tx, "sweep_leases", &[&now, &limit])?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Messages in doubt for too long, with their watch.
pub async fn sweep_unconfirmed(
    tx: &Transaction<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<(i64, String)>, Error> {
    let rows = named!(tx, "sweep_unconfirmed", &[&now, &limit])?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
