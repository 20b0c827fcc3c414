//! The queries of compose.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Error, Row as SqlRow};

use crate::domain::message::attempt::AttemptId;
use crate::domain::message::message::Message;
use crate::domain::message::state::State;
use crate::domain::recipient::phone_forms;
use crate::domain::value::row::Row;
use crate::postgres::capture::row_query::object;
use crate::postgres::connection::statement::{array, named, statements};
use crate::postgres::connection::word::word;
use crate::postgres::queries::claim::{Lease, WaitColumns, WordColumns, actors};

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
    rows.iter().map(|row| open_message(row, channel)).collect()
}

/// Messages of a watch besides those that are taken: due, or due between two moments and waiting for nothing but their
/// quiet period, or for the limit of their recipient.
pub async fn compose_soon(
    tx: &Transaction<'_>,
    (channel, watch): (&str, &str),
    (now, until): (Timestamp, Timestamp),
    taken: &[Message],
    limit: i64,
) -> Result<Vec<Message>, Error> {
    let taken: Vec<i64> = taken.iter().filter_map(|message| message.message_id).collect();
    let params: &[&(dyn ToSql + Sync)] = &[&channel, &watch, &now, &until, &taken, &limit];
    let rows = named!(tx, "compose/compose_soon", params)?;
    rows.iter().map(|row| open_message(row, channel)).collect()
}

fn open_message(row: &SqlRow, channel: &str) -> Result<Message, Error> {
    let recipient_key: Option<String> = row.try_get("recipient_key")?;
    Ok(Message {
        message_id: row.try_get("message_id")?,
        watch: row.try_get("watch")?,
        entity_key: row.try_get("entity_key")?,
        channel: channel.to_owned(),
        is_for_all: recipient_key.is_none(),
        was_set_aside: false,
        recipient_key,
        fallback_of: row.try_get("fallback_of")?,
        attempt_count: row.try_get("attempt_count")?,
        operation: word(row, "operation")?,
        change_count: row.try_get("change_count")?,
        first_changed_at: row.try_get("first_changed_at")?,
        last_changed_at: row.try_get("last_changed_at")?,
        old_row: object(row, "old_row")?,
        new_row: object(row, "new_row")?,
        changed_by: row.try_get("changed_by")?,
        state: State::Scheduled,
        reason_text: None,
        wait: None,
        due_at: row.try_get("due_at")?,
        told_row: None,
        words: None,
        hold_id: None,
    })
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

/// Open messages, each with the message for all recipients whose changes it tells.
pub async fn compose_join(
    tx: &Transaction<'_>,
    joined: &[(i64, &Message)],
    now: Timestamp,
) -> Result<(), Error> {
    let params: &[&(dyn ToSql + Sync)] = &[
        &array(joined, |(message_id, _)| *message_id),
        &array(joined, |(_, message)| message.new_row.as_ref().map(Json)),
        &array(joined, |(_, message)| message.change_count),
        &array(joined, |(_, message)| message.last_changed_at),
        &array(joined, |(_, message)| actors(&message.changed_by)),
        &now,
    ];
    named!(tx, "compose/compose_join", params).map(drop)
}

/// Removes what recipients of entities were told before a moment.
pub async fn told_prune(
    tx: &Transaction<'_>,
    watch: &str,
    obsolete: &[(&str, &str, Timestamp)],
) -> Result<(), Error> {
    let params: &[&(dyn ToSql + Sync)] = &[
        &watch,
        &array(obsolete, |(entity_key, _, _)| *entity_key),
        &array(obsolete, |(_, recipient_key, _)| *recipient_key),
        &array(obsolete, |(_, _, before)| *before),
    ];
    named!(tx, "ledger/told_prune", params).map(drop)
}

/// The row before what the open messages of an entity are to tell; the outer None: there is no such message.
pub async fn compose_open(
    tx: &Transaction<'_>,
    watch: &str,
    entity_key: &str,
) -> Result<Option<Option<Row>>, Error> {
    let rows = named!(tx, "compose/compose_open", &[&watch, &entity_key])?;
    rows.first().map(|row| object(row, "old_row")).transpose()
}

statements! {
    /// Keeps the words of the last attempts of messages with those attempts.
    attempt_keep_words(tx: &Transaction<'_>, message_ids: &[i64])
        -> () = "compose/attempt_keep_words";

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
    let reworded = messages.iter().filter(|m| m.words.is_some() && m.attempt_count > 0);
    let reworded: Vec<i64> = reworded.filter_map(|m| m.message_id).collect();
    if !reworded.is_empty() {
        attempt_keep_words(tx, &reworded).await?;
    }
    let ids: Vec<Option<i64>> = messages.iter().map(|m| m.message_id).collect();
    let state: Vec<&str> = messages.iter().map(|m| m.state.into_str()).collect();
    let reason: Vec<Option<&str>> = messages.iter().map(|m| m.state.reason()).collect();
    let reason_text: Vec<Option<&str>> =
        messages.iter().map(|m| m.reason_text.as_deref()).collect();
    let new: Vec<Option<Json<Option<&Row>>>> = messages.iter().map(told_json).collect();
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
        &array(messages, |m| m.recipient_key.as_deref()),
        &array(messages, |m| m.words.as_ref().map(|words| words.operation.into_str())),
        &array(messages, |m| m.is_for_all),
        &w.country,
        &w.in_quiet_hours,
        &array(messages, |m| carrier(m).map(|attempt| attempt.message_id)),
        &array(messages, |m| carrier(m).map(|attempt| attempt.number)),
        &array(messages, |m| m.told_row.is_some()),
    ];
    let rows = named!(tx, "compose/compose_write", params)?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The attempt whose request says its words.
fn carrier(message: &Message) -> Option<AttemptId> {
    message.words.as_ref()?.carried_by
}

/// The row as told; JSON null says "told that it is gone", SQL null "leave as it is".
fn told_json(message: &Message) -> Option<Json<Option<&Row>>> {
    Some(Json(message.told_row.as_ref()?.as_ref()))
}
