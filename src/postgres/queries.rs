//! The queries of the pipeline, by name. The texts stand in `sql/queries`, with what they promise.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Error, Row as SqlRow};

use super::rows::object;
use crate::domain::attempt::{Answer, AttemptResult};
use crate::domain::change::{Change, Operation};
use crate::domain::message::State;
use crate::domain::receipt::{Receipt, ReceiptStatus};
use crate::domain::recipient::Recipient;
use crate::domain::row::Row;
use crate::domain::summary::Wording;

/// Runs a named query: `named!(transaction, "settle_lock", &[&id])`.
macro_rules! named {
    ($tx:expr, $name:literal, $params:expr) => {{
        let statement =
            $tx.prepare_cached(include_str!(concat!("../../sql/queries/", $name, ".sql"))).await?;
        $tx.query(&statement, $params).await
    }};
}

/// Taken for the time of one claim, so that two daemons never fold the same entity at once.
pub const CLAIM_LOCK: i64 = 0x726f_7762_656c_6c01;

/// Whether there is anything to claim above `bound`.
pub async fn claim_any(
    client: &deadpool_postgres::Client,
    bound: i64,
    watches: &[&str],
) -> Result<bool, Error> {
    let statement = client.prepare_cached(include_str!("../../sql/queries/claim_any.sql")).await?;
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
    let rows = named!(tx, "claim_bound", &[&CLAIM_LOCK])?;
    let row = &rows[0];
    Ok(ClaimBound {
        is_mine: row.try_get("is_mine")?,
        given_out: row.try_get("given_out")?,
        oldest_running: row.try_get("oldest_running")?,
    })
}

/// A change as taken, or what was left of it when the trigger could not read the row.
#[derive(Clone, Debug)]
pub enum Taken {
    Whole(Change),
    Unreadable {
        watch: String,
        entity_key: String,
        operation: Operation,
        changed_at: Timestamp,
        error: String,
    },
}

/// Changes in order of capture, and the transaction that took them.
pub struct Haul {
    pub changes: Vec<Taken>,
    pub last_change_id: i64,
    pub claimed_by: i64,
}

pub async fn claim_take(
    tx: &Transaction<'_>,
    bound: i64,
    watches: &[&str],
    limit: usize,
) -> Result<Haul, Error> {
    let limit = limit as i64;
    let rows = named!(tx, "claim_take", &[&bound, &watches, &limit])?;
    let mut haul =
        Haul { changes: Vec::with_capacity(rows.len()), last_change_id: bound, claimed_by: 0 };
    for row in &rows {
        haul.claimed_by = row.try_get("claimed_by")?;
        haul.last_change_id = row.try_get("change_id")?;
        haul.changes.push(taken(row)?);
    }
    Ok(haul)
}

fn taken(row: &SqlRow) -> Result<Taken, Error> {
    let watch: String = row.try_get("watch")?;
    let operation = operation(row, "operation")?;
    let changed_at: Timestamp = row.try_get("changed_at")?;
    let entity_key: Option<String> = row.try_get("entity_key")?;
    let error: Option<String> = row.try_get("capture_error")?;
    Ok(match (entity_key, error) {
        (Some(entity_key), None) => Taken::Whole(Change {
            change_id: row.try_get("change_id")?,
            watch,
            entity_key,
            operation,
            old_row: object(row, "old_row")?,
            new_row: object(row, "new_row")?,
            changed_at,
            mute_reason: row.try_get("mute_reason")?,
        }),
        (key, error) => Taken::Unreadable {
            watch,
            entity_key: key.unwrap_or_default(),
            operation,
            changed_at,
            error: error.unwrap_or_else(|| "the key of the row is null".to_owned()),
        },
    })
}

fn operation(row: &SqlRow, column: &str) -> Result<Operation, Error> {
    let word: &str = row.try_get(column)?;
    Ok(match word {
        "insert" => Operation::Insert,
        "delete" => Operation::Delete,
        _ => Operation::Update,
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
    pub due_at: Timestamp,
}

pub async fn claim_open(
    tx: &Transaction<'_>,
    watches: &[&str],
    keys: &[&str],
) -> Result<Vec<OpenMessage>, Error> {
    let rows = named!(tx, "claim_open", &[&watches, &keys])?;
    rows.iter()
        .map(|row| {
            Ok(OpenMessage {
                message_id: row.try_get("message_id")?,
                watch: row.try_get("watch")?,
                entity_key: row.try_get("entity_key")?,
                operation: operation(row, "operation")?,
                old_row: object(row, "old_row")?,
                first_changed_at: row.try_get("first_changed_at")?,
                due_at: row.try_get("due_at")?,
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
}

pub async fn claim_fold(
    tx: &Transaction<'_>,
    folded: &[FoldedIn],
    now: Timestamp,
) -> Result<(), Error> {
    let ids: Vec<i64> = folded.iter().map(|f| f.message_id).collect();
    let operations: Vec<&str> = folded.iter().map(|f| f.operation.as_str()).collect();
    let rows: Vec<Option<Json<&Row>>> =
        folded.iter().map(|f| f.new_row.as_ref().map(Json)).collect();
    let counts: Vec<i32> = folded.iter().map(|f| f.change_count).collect();
    let changed: Vec<Timestamp> = folded.iter().map(|f| f.last_changed_at).collect();
    let due: Vec<Timestamp> = folded.iter().map(|f| f.due_at).collect();
    named!(tx, "claim_fold", &[&ids, &operations, &rows, &counts, &changed, &due, &now])?;
    Ok(())
}

pub async fn claim_rename(
    tx: &Transaction<'_>,
    watch: &str,
    from: &str,
    to: &str,
    now: Timestamp,
) -> Result<(), Error> {
    named!(tx, "claim_rename", &[&watch, &from, &to, &now])?;
    Ok(())
}

/// What a message says and to whom, once that is decided.
#[derive(Clone, Debug)]
pub struct Words {
    /// The row as it is told; None: that it is gone.
    pub told_row: Option<Row>,
    pub template: String,
    pub namespace: String,
    pub recipient: Recipient,
    pub wording: Wording,
}

/// A message to open.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub watch: String,
    pub entity_key: String,
    pub state: State,
    pub reason_text: Option<String>,
    pub operation: Operation,
    pub change_count: i32,
    pub first_changed_at: Timestamp,
    pub last_changed_at: Timestamp,
    pub old_row: Option<Row>,
    pub new_row: Option<Row>,
    pub channel: String,
    pub words: Option<Box<Words>>,
    pub due_at: Timestamp,
}

/// The lease that messages in state sending get.
#[derive(Clone, Copy, Debug)]
pub struct Lease<'a> {
    pub now: Timestamp,
    pub instance: &'a str,
    pub expires_at: Timestamp,
}

/// Columns of the words of several messages, as the arrays that a query takes.
struct WordColumns<'a> {
    template: Vec<Option<&'a str>>,
    language: Vec<Option<&'a str>>,
    name: Vec<Option<&'a str>>,
    phone: Vec<Option<&'a str>>,
    locale: Vec<Option<&'a str>>,
    time_zone: Vec<Option<&'a str>>,
    summary: Vec<Option<&'a str>>,
    parameters: Vec<Option<Json<&'a Vec<String>>>>,
}

impl<'a> WordColumns<'a> {
    fn of(words: impl Iterator<Item = Option<&'a Words>> + Clone) -> WordColumns<'a> {
        fn each<'a, T>(
            words: impl Iterator<Item = Option<&'a Words>>,
            column: impl Fn(&'a Words) -> T,
        ) -> Vec<Option<T>> {
            words.map(|w| w.map(&column)).collect()
        }
        WordColumns {
            template: each(words.clone(), |w| w.template.as_str()),
            language: each(words.clone(), |w| w.wording.language.as_str()),
            name: each(words.clone(), |w| w.recipient.name.as_str()),
            phone: each(words.clone(), |w| w.recipient.phone.as_str()),
            locale: each(words.clone(), |w| w.recipient.locale.as_str()),
            time_zone: each(words.clone(), |w| w.recipient.time_zone.as_str()),
            summary: each(words.clone(), |w| w.wording.summary.as_str()),
            parameters: each(words, |w| Json(&w.wording.parameters)),
        }
    }
}

/// Opens messages; their ids stand in the order of `messages`.
pub async fn claim_write(
    tx: &Transaction<'_>,
    messages: &[NewMessage],
    lease: Lease<'_>,
) -> Result<Vec<i64>, Error> {
    let col = |f: fn(&NewMessage) -> &str| messages.iter().map(f).collect::<Vec<&str>>();
    let watch = col(|m| &m.watch);
    let key = col(|m| &m.entity_key);
    let state = col(|m| m.state.as_str());
    let operation = col(|m| m.operation.as_str());
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
    let new: Vec<Option<Json<&Row>>> = messages
        .iter()
        .map(|m| m.words.as_ref().map_or(&m.new_row, |w| &w.told_row).as_ref().map(Json))
        .collect();
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
    ];
    let rows = named!(tx, "claim_write", params)?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// A message that is due.
#[derive(Clone, Debug)]
pub struct DueMessage {
    pub message_id: i64,
    pub due_at: Timestamp,
    pub watch: String,
    pub entity_key: String,
    pub operation: Operation,
    pub old_row: Option<Row>,
    pub new_row: Option<Row>,
    pub attempt_count: i16,
}

pub async fn compose_due(
    tx: &Transaction<'_>,
    channel: &str,
    now: Timestamp,
    above: (Timestamp, i64),
    limit: usize,
) -> Result<Vec<DueMessage>, Error> {
    let limit = limit as i64;
    let rows = named!(tx, "compose_due", &[&channel, &now, &above.0, &above.1, &limit])?;
    rows.iter()
        .map(|row| {
            Ok(DueMessage {
                message_id: row.try_get("message_id")?,
                due_at: row.try_get("due_at")?,
                watch: row.try_get("watch")?,
                entity_key: row.try_get("entity_key")?,
                operation: operation(row, "operation")?,
                old_row: object(row, "old_row")?,
                new_row: object(row, "new_row")?,
                attempt_count: row.try_get("attempt_count")?,
            })
        })
        .collect()
}

/// Which of the phones must not be written to.
pub async fn compose_opt_out(tx: &Transaction<'_>, phones: &[&str]) -> Result<Vec<String>, Error> {
    let rows = named!(tx, "compose_opt_out", &[&phones])?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// One thing that counts as told: a message that left, or a muted change.
#[derive(Clone, Debug)]
pub struct ToldRow {
    pub is_muted: bool,
    pub old_row: Option<Row>,
    pub new_row: Option<Row>,
}

/// Everything told since the last message that left, latest first.
pub async fn compose_told(
    tx: &Transaction<'_>,
    watch: &str,
    key: &str,
    counts_unconfirmed: bool,
) -> Result<Vec<ToldRow>, Error> {
    let rows = named!(tx, "compose_told", &[&watch, &key, &counts_unconfirmed])?;
    rows.iter()
        .map(|row| {
            Ok(ToldRow {
                is_muted: row.try_get::<_, Option<bool>>("is_muted")?.unwrap_or(false),
                old_row: object(row, "old_row")?,
                new_row: object(row, "new_row")?,
            })
        })
        .collect()
}

/// The row before the first change of the entity that is known; None also when that was an insert.
pub async fn compose_first_old(
    tx: &Transaction<'_>,
    watch: &str,
    key: &str,
) -> Result<Option<Row>, Error> {
    let rows = named!(tx, "compose_first_old", &[&watch, &key])?;
    rows.first().map_or(Ok(None), |row| object(row, "old_row"))
}

/// When the next message of the channel is due.
pub async fn compose_next_due(
    client: &deadpool_postgres::Client,
    channel: &str,
) -> Result<Option<Timestamp>, Error> {
    let rows = named!(client, "compose_next_due", &[&channel])?;
    rows.first().map(|row| row.try_get(0)).transpose()
}

/// What was decided about a due message.
#[derive(Clone, Debug)]
pub struct Decided {
    pub message_id: i64,
    pub state: State,
    pub reason_text: Option<String>,
    pub words: Option<Box<Words>>,
    pub due_at: Option<Timestamp>,
}

/// Writes decisions; returns the number of the attempt of each message.
pub async fn compose_write(
    tx: &Transaction<'_>,
    decided: &[Decided],
    lease: Lease<'_>,
) -> Result<Vec<(i64, i16)>, Error> {
    let ids: Vec<i64> = decided.iter().map(|d| d.message_id).collect();
    let state: Vec<&str> = decided.iter().map(|d| d.state.as_str()).collect();
    let reason: Vec<Option<&str>> = decided.iter().map(|d| d.state.reason()).collect();
    let reason_text: Vec<Option<&str>> = decided.iter().map(|d| d.reason_text.as_deref()).collect();
    let new: Vec<Option<Json<Value>>> = decided.iter().map(told_json).collect();
    let due: Vec<Option<Timestamp>> = decided.iter().map(|d| d.due_at).collect();
    let w = WordColumns::of(decided.iter().map(|d| d.words.as_deref()));
    let params: &[&(dyn ToSql + Sync)] = &[
        &ids,
        &state,
        &reason,
        &reason_text,
        &new,
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
    ];
    let rows = named!(tx, "compose_write", params)?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The row as told; JSON null says "told that it is gone", SQL null "leave as it is".
fn told_json(decided: &Decided) -> Option<Json<Value>> {
    let words = decided.words.as_ref()?;
    Some(Json(words.told_row.clone().map_or(Value::Null, Value::Object)))
}

/// An acceptance to store.
#[derive(Clone, Debug)]
pub struct Acceptance<'a> {
    pub message_id: i64,
    pub attempt: i16,
    pub provider_message_id: &'a str,
    pub http_status: i16,
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
    let statuses: Vec<i16> = accepted.iter().map(|a| a.http_status).collect();
    let rows =
        named!(client, "settle_accepted", &[&ids, &numbers, &provider_ids, &statuses, &now])?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Where a message stands, locked.
#[derive(Clone, Debug)]
pub struct Standing {
    pub state: State,
    pub attempt_count: i16,
    pub watch: String,
    pub entity_key: String,
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
