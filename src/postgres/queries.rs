//! The queries of the pipeline, by name. The texts stand in `sql/queries`, with what they promise.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::Error;
use tokio_postgres::types::{Json, ToSql};

use crate::domain::message::message::{Message, MessageWords};
use crate::domain::message::state::{Wait, WaitsFor};
use crate::domain::value::change::Operation;
use crate::domain::value::row::Row;
use crate::postgres::capture::row_query::object;
use crate::postgres::connection::word::{maybe, word};

/// Runs a named query: `named!(transaction, "settle/settle_lock", &[&id])`.
macro_rules! named {
    ($tx:expr, $name:literal, $params:expr) => {{
        let statement = $tx
            .prepare_cached(include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/sql/queries/",
                $name,
                ".sql"
            )))
            .await?;
        $tx.query(&statement, $params).await
    }};
}

mod blockers;
mod burst_hold;
mod channel_lease;
mod claimed_batch;
mod compose;
mod fallback;
mod forget;
mod metrics;
mod opt_out_request;
mod poll;
mod retention;
mod settle;
mod unconfirmed;

pub use blockers::*;
pub use burst_hold::*;
pub use channel_lease::*;
pub use claimed_batch::*;
pub use compose::*;
pub use fallback::*;
pub use forget::*;
pub use metrics::*;
pub use opt_out_request::*;
pub use poll::*;
pub use retention::*;
pub use settle::*;
pub use unconfirmed::*;

/// Taken for the time of one claim, so that two daemons never fold the same entity at once.
pub const CLAIM_LOCK: i64 = 0x726f_7762_656c_6c01;

/// Whether there is anything to claim above `bound`.
pub async fn claim_any(
    client: &deadpool_postgres::Client,
    bound: i64,
    watches: &[&str],
) -> Result<bool, Error> {
    let statement =
        client.prepare_cached(include_str!("../../sql/queries/claim/claim_any.sql")).await?;
    Ok(client.query_one(&statement, &[&bound, &watches]).await?.get(0))
}

/// What a claim needs to know before it has a transaction id of its own.
#[derive(Clone, Copy, Debug)]
pub struct ClaimBound {
    pub is_mine: bool,
    pub given_out: i64,
    pub oldest_running: i64,
}

pub async fn claim_bound(tx: &Transaction<'_>) -> Result<ClaimBound, Error> {
    let rows = named!(tx, "claim/claim_bound", &[&CLAIM_LOCK])?;
    let row = &rows[0];
    Ok(ClaimBound {
        is_mine: row.try_get("is_mine")?,
        given_out: row.try_get("given_out")?,
        oldest_running: row.try_get("oldest_running")?,
    })
}

/// An open message that later changes fold into.
#[derive(Clone, Debug)]
pub struct OpenMessage {
    pub message_id: i64,
    pub watch: String,
    pub entity_key: String,
    pub operation: Operation,
    pub old_row: Option<Row>,
    pub first_changed_at: Timestamp,
    /// Attempts that were made in vain.
    pub attempt_count: i16,
    pub due_at: Timestamp,
    pub waits_for: Option<WaitsFor>,
}

pub async fn claim_open(
    tx: &Transaction<'_>,
    watches: &[&str],
    keys: &[&str],
) -> Result<Vec<OpenMessage>, Error> {
    let rows = named!(tx, "claim/claim_open", &[&watches, &keys])?;
    rows.iter()
        .map(|row| {
            Ok(OpenMessage {
                message_id: row.try_get("message_id")?,
                watch: row.try_get("watch")?,
                entity_key: row.try_get("entity_key")?,
                operation: word(row, "operation")?,
                old_row: object(row, "old_row")?,
                first_changed_at: row.try_get("first_changed_at")?,
                attempt_count: row.try_get("attempt_count")?,
                due_at: row.try_get("due_at")?,
                waits_for: maybe(row, "waits_for")?,
            })
        })
        .collect()
}

/// Later changes of an open message.
#[derive(Clone, Debug)]
pub struct FoldedIn {
    pub message_id: i64,
    pub operation: Operation,
    pub new_row: Option<Row>,
    pub change_count: i32,
    pub last_changed_at: Timestamp,
    pub due_at: Timestamp,
    pub hold_id: Option<i64>,
}

pub async fn claim_fold(
    tx: &Transaction<'_>,
    folded: &[FoldedIn],
    now: Timestamp,
) -> Result<(), Error> {
    let ids: Vec<i64> = folded.iter().map(|f| f.message_id).collect();
    let operations: Vec<&str> = folded.iter().map(|f| f.operation.into_str()).collect();
    let rows: Vec<Option<Json<&Row>>> =
        folded.iter().map(|f| f.new_row.as_ref().map(Json)).collect();
    let counts: Vec<i32> = folded.iter().map(|f| f.change_count).collect();
    let changed: Vec<Timestamp> = folded.iter().map(|f| f.last_changed_at).collect();
    let due: Vec<Timestamp> = folded.iter().map(|f| f.due_at).collect();
    named!(tx, "claim/claim_fold", &[&ids, &operations, &rows, &counts, &changed, &due, &now])?;
    Ok(())
}

pub async fn claim_rename(
    tx: &Transaction<'_>,
    watch: &str,
    from: &str,
    to: &str,
    now: Timestamp,
) -> Result<(), Error> {
    named!(tx, "claim/claim_rename", &[&watch, &from, &to, &now])?;
    Ok(())
}

/// The lease that messages in state sending get.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    pub now: Timestamp,
    pub instance: &'a str,
    pub expires_at: Timestamp,
    /// They are recorded instead of sent.
    pub is_dry_run: bool,
}

/// Columns of what several messages wait for, as the arrays that a query takes.
struct WaitColumns<'a> {
    cause: Vec<Option<&'a str>>,
    template: Vec<Option<&'a str>>,
    language: Vec<Option<&'a str>>,
}

impl<'a> WaitColumns<'a> {
    fn of(waits: impl Iterator<Item = Option<&'a Wait>> + Clone) -> WaitColumns<'a> {
        let templates = waits.clone().map(|wait| wait.and_then(|wait| wait.template.as_ref()));
        WaitColumns {
            cause: waits.map(|wait| wait.map(|wait| wait.cause.into_str())).collect(),
            template: templates.clone().map(|key| key.map(|(name, _)| name.as_str())).collect(),
            language: templates.map(|key| key.map(|(_, tag)| tag.as_str())).collect(),
        }
    }
}

/// Columns of the words of several messages, as the arrays that a query takes.
struct WordColumns<'a> {
    template: Vec<Option<&'a str>>,
    language: Vec<Option<&'a str>>,
    name: Vec<Option<&'a str>>,
    phone: Vec<Option<&'a str>>,
    locale: Vec<Option<&'a str>>,
    time_zone: Vec<Option<&'a str>>,
    time_zone_source: Vec<Option<&'a str>>,
    summary: Vec<Option<&'a str>>,
    parameters: Vec<Option<Json<&'a Vec<String>>>>,
}

impl<'a> WordColumns<'a> {
    fn of(words: impl Iterator<Item = Option<&'a MessageWords>> + Clone) -> WordColumns<'a> {
        fn each<'a, T>(
            words: impl Iterator<Item = Option<&'a MessageWords>>,
            column: impl Fn(&'a MessageWords) -> T,
        ) -> Vec<Option<T>> {
            words.map(|w| w.map(&column)).collect()
        }
        WordColumns {
            template: each(words.clone(), |w| w.template.as_str()),
            language: each(words.clone(), |w| w.wording.language.as_str()),
            name: each(words.clone(), |w| w.recipient.name.as_str()),
            phone: words.clone().map(|w| w.and_then(|w| w.recipient.phone())).collect(),
            locale: each(words.clone(), |w| w.recipient.locale.as_str()),
            time_zone: each(words.clone(), |w| w.recipient.time_zone.as_str()),
            time_zone_source: each(words.clone(), |w| w.recipient.time_zone_source.as_ref()),
            summary: each(words.clone(), |w| w.wording.summary.as_str()),
            parameters: each(words, |w| Json(&w.wording.parameters)),
        }
    }
}

/// Opens messages, which get their ids by that.
pub async fn claim_write(
    tx: &Transaction<'_>,
    messages: &mut [Message],
    lease: Lease<'_>,
) -> Result<(), Error> {
    let col = |f: fn(&Message) -> &str| messages.iter().map(f).collect::<Vec<&str>>();
    let watch = col(|m| &m.watch);
    let key = col(|m| &m.entity_key);
    let state = col(|m| m.state.into_str());
    let operation = col(|m| m.operation.into_str());
    let channel = col(|m| &m.channel);
    let reason: Vec<Option<&str>> = messages.iter().map(|m| m.state.reason()).collect();
    let reason_text: Vec<Option<&str>> =
        messages.iter().map(|m| m.reason_text.as_deref()).collect();
    let count: Vec<i32> = messages.iter().map(|m| m.change_count).collect();
    let first: Vec<Timestamp> = messages.iter().map(|m| m.first_changed_at).collect();
    let last: Vec<Timestamp> = messages.iter().map(|m| m.last_changed_at).collect();
    let due: Vec<Timestamp> = messages.iter().map(|m| m.due_at).collect();
    let old: Vec<Option<Json<&Row>>> =
        messages.iter().map(|m| m.old_row.as_ref().map(Json)).collect();
    let new: Vec<Option<Json<&Row>>> = messages.iter().map(new_row).collect();
    let wait = WaitColumns::of(messages.iter().map(|m| m.wait.as_ref()));
    let w = WordColumns::of(messages.iter().map(|m| m.words.as_deref()));
    let params: &[&(dyn ToSql + Sync)] = &[
        &watch,
        &key,
        &state,
        &reason,
        &reason_text,
        &operation,
        &count,
        &first,
        &last,
        &old,
        &new,
        &channel,
        &w.template,
        &w.language,
        &w.name,
        &w.phone,
        &w.locale,
        &w.time_zone,
        &w.summary,
        &w.parameters,
        &due,
        &lease.now,
        &lease.instance,
        &lease.expires_at,
        &w.time_zone_source,
        &wait.cause,
        &wait.template,
        &wait.language,
    ];
    let rows = named!(tx, "claim/claim_write", params)?;
    for (message, row) in messages.iter_mut().zip(&rows) {
        message.message_id = row.try_get(0)?;
    }
    Ok(())
}

/// The row as it is told; of a message without words, as it was captured.
fn new_row(message: &Message) -> Option<Json<&Row>> {
    let row = message.words.as_ref().map_or(&message.new_row, |words| &words.told_row);
    row.as_ref().map(Json)
}
