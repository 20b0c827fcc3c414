//! The queries of compose.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Error;
use tokio_postgres::types::{Json, ToSql};

use crate::domain::message::message::Message;
use crate::domain::message::state::State;
use crate::domain::recipient::phone_forms;
use crate::domain::value::row::Row;
use crate::postgres::capture::row_query::object;
use crate::postgres::connection::statement::{named, statements};
use crate::postgres::connection::word::word;
use crate::postgres::queries::claim::{Lease, WaitColumns, WordColumns};

/// Where one watch goes on, and where it stands in turn.
#[derive(Clone, Copy, Debug)]
pub struct WatchTurn<'a> {
    pub watch: &'a str,
    pub above: (Timestamp, i64),
    pub start: f64,
    pub cost: f64,
}

/// Due messages, the watches in turn.
pub async fn compose_due(
    tx: &Transaction<'_>,
    channel: &str,
    now: Timestamp,
    turns: &[WatchTurn<'_>],
    limit: usize,
) -> Result<Vec<Message>, Error> {
    let limit = limit as i64;
    let watch: Vec<&str> = turns.iter().map(|turn| turn.watch).collect();
    let above_due: Vec<Timestamp> = turns.iter().map(|turn| turn.above.0).collect();
    let above_id: Vec<i64> = turns.iter().map(|turn| turn.above.1).collect();
    let start: Vec<f64> = turns.iter().map(|turn| turn.start).collect();
    let cost: Vec<f64> = turns.iter().map(|turn| turn.cost).collect();
    let params: &[&(dyn ToSql + Sync)] =
        &[&channel, &now, &watch, &above_due, &above_id, &start, &cost, &limit];
    let rows = named!(tx, "compose/compose_due", params)?;
    rows.iter()
        .map(|row| {
            Ok(Message {
                message_id: row.try_get("message_id")?,
                watch: row.try_get("watch")?,
                entity_key: row.try_get("entity_key")?,
                channel: channel.to_owned(),
                fallback_of: row.try_get("fallback_of")?,
                attempt_count: row.try_get("attempt_count")?,
                operation: word(row, "operation")?,
                change_count: row.try_get("change_count")?,
                first_changed_at: row.try_get("first_changed_at")?,
                last_changed_at: row.try_get("last_changed_at")?,
                old_row: object(row, "old_row")?,
                new_row: object(row, "new_row")?,
                state: State::Scheduled,
                reason_text: None,
                wait: None,
                due_at: row.try_get("due_at")?,
                words: None,
                hold_id: None,
            })
        })
        .collect()
}

/// Which of the phones must not be written to about a watch, or about any, in whatever form they stand there.
pub async fn compose_opt_out(
    tx: &Transaction<'_>,
    phones: &[&str],
    watch: Option<&str>,
) -> Result<Vec<String>, Error> {
    let all: Vec<(&str, Vec<String>)> =
        phones.iter().map(|phone| (*phone, phone_forms::forms(phone))).collect();
    let asked: Vec<&str> = all.iter().flat_map(|(_, forms)| forms).map(String::as_str).collect();
    let rows = named!(tx, "compose/compose_opt_out", &[&asked, &watch])?;
    let found: HashSet<String> =
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, Error>>()?;
    let is_out = |forms: &[String]| forms.iter().any(|form| found.contains(form));
    let out = all.iter().filter(|(_, forms)| is_out(forms));
    Ok(out.map(|(phone, _)| (*phone).to_owned()).collect())
}

/// One thing that counts as told: a message that left, or a muted change.
#[derive(Clone, Debug)]
pub struct LastToldRow {
    pub is_muted: bool,
    pub old_row: Option<Row>,
    pub new_row: Option<Row>,
}

/// Which messages count as told.
#[derive(Clone, Debug)]
pub struct CountsAsTold<'a> {
    pub unconfirmed: bool,
    /// Only what is known to have arrived: delivered, or accepted by one of these channels, of which no
    /// more is ever heard. None: whatever was accepted.
    pub arrived: Option<&'a [String]>,
    /// Messages of a dry run, for another one.
    pub dry_runs: bool,
}

/// Everything told since the last message that left, latest first.
pub async fn compose_last_told(
    tx: &Transaction<'_>,
    watch: &str,
    key: &str,
    counts: &CountsAsTold<'_>,
) -> Result<Vec<LastToldRow>, Error> {
    let CountsAsTold { unconfirmed, arrived, dry_runs } = counts;
    let rows =
        named!(tx, "compose/compose_last_told", &[&watch, &key, unconfirmed, arrived, dry_runs])?;
    rows.iter()
        .map(|row| {
            Ok(LastToldRow {
                is_muted: row.try_get::<_, Option<bool>>("is_muted")?.unwrap_or(false),
                old_row: object(row, "old_row")?,
                new_row: object(row, "new_row")?,
            })
        })
        .collect()
}

/// What an entity may have read, although nobody knows, or what was muted since.
#[derive(Clone, Debug)]
pub struct UnconfirmedRow {
    /// The place of the entity among those asked for.
    pub place: usize,
    pub row: LastToldRow,
}

/// What entities may have read since something was told for certain, and what was muted since, oldest first.
pub async fn compose_unconfirmed(
    tx: &Transaction<'_>,
    watch: &str,
    keys: &[&str],
    counts_unconfirmed: bool,
) -> Result<Vec<UnconfirmedRow>, Error> {
    let rows = named!(tx, "compose/compose_unconfirmed", &[&watch, &keys, &counts_unconfirmed])?;
    rows.iter()
        .map(|row| {
            let ordinal: i64 = row.try_get("ordinal")?;
            let told = LastToldRow {
                is_muted: row.try_get("is_muted")?,
                old_row: object(row, "old_row")?,
                new_row: object(row, "row")?,
            };
            Ok(UnconfirmedRow {
                place: usize::try_from(ordinal - 1).unwrap_or(usize::MAX),
                row: told,
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
    let rows = named!(tx, "compose/compose_first_old", &[&watch, &key])?;
    rows.first().map_or(Ok(None), |row| object(row, "old_row"))
}

statements! {
    /// The watches that have open messages on the channel.
    compose_watches(tx: &Transaction<'_>, channel: &str)
        -> Vec<String> = "compose/compose_watches";
}

/// When the next message of the channel is due, among those of some watches.
pub async fn compose_next_due(
    client: &deadpool_postgres::Client,
    channel: &str,
    watches: &[&str],
) -> Result<Option<Timestamp>, Error> {
    let rows = named!(client, "compose/compose_next_due", &[&channel, &watches])?;
    rows.first().map_or(Ok(None), |row| row.try_get(0))
}

/// Writes what was decided about messages; returns the number of the attempt of each.
pub async fn compose_write(
    tx: &Transaction<'_>,
    messages: &[Message],
    lease: Lease<'_>,
) -> Result<Vec<(i64, i16)>, Error> {
    let ids: Vec<Option<i64>> = messages.iter().map(|m| m.message_id).collect();
    let state: Vec<&str> = messages.iter().map(|m| m.state.into_str()).collect();
    let reason: Vec<Option<&str>> = messages.iter().map(|m| m.state.reason()).collect();
    let reason_text: Vec<Option<&str>> =
        messages.iter().map(|m| m.reason_text.as_deref()).collect();
    let new: Vec<Option<Json<Value>>> = messages.iter().map(told_json).collect();
    let due: Vec<Timestamp> = messages.iter().map(|m| m.due_at).collect();
    let wait = WaitColumns::of(messages.iter().map(|m| m.wait.as_ref()));
    let w = WordColumns::of(messages.iter().map(|m| m.words.as_deref()));
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
        &w.time_zone_source,
        &wait.cause,
        &wait.template,
        &wait.language,
        &lease.is_dry_run,
    ];
    let rows = named!(tx, "compose/compose_write", params)?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The row as told; JSON null says "told that it is gone", SQL null "leave as it is".
fn told_json(message: &Message) -> Option<Json<Value>> {
    let words = message.words.as_ref()?;
    Some(Json(words.told_row.clone().map_or(Value::Null, Value::Object)))
}
