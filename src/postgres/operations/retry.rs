//! Sending again what a person wants sent again: which messages, what speaks against it, and the deed.

use std::collections::HashSet;

use jiff::Timestamp;
use tokio_postgres::{Client, Error};

use crate::config::Config;
use crate::domain::message::state::{Event, Skip, State, apply};
use crate::postgres::connection::statement::{FromRows, text};
use crate::postgres::connection::word::state;

/// Which messages are meant.
#[derive(Clone, Debug)]
pub enum RetrySelection {
    Ids(Vec<i64>),
    Filter {
        watch: Option<String>,
        /// Words of reasons; none: any.
        reasons: Vec<String>,
        since: Timestamp,
        /// The latest so many.
        limit: i64,
    },
}

/// One message that is meant.
#[derive(Clone, Debug)]
pub struct RetryCandidate {
    pub message_id: i64,
    pub watch: String,
    pub entity_key: String,
    pub state: State,
    pub reason_text: Option<String>,
    /// Why it is not sent again; None: it is.
    pub refusal: Option<String>,
}

/// The ids that are meant, latest first.
pub async fn find(client: &Client, meant: &RetrySelection) -> Result<Vec<i64>, Error> {
    match meant {
        RetrySelection::Ids(ids) => Ok(ids.clone()),
        RetrySelection::Filter { watch, reasons, since, limit } => {
            let query = text!("operations/retry_find");
            let reasons = Some(reasons).filter(|reasons| !reasons.is_empty());
            let rows = client.query(query, &[watch, &reasons, since, limit]).await?;
            FromRows::from_rows(&rows)
        }
    }
}

/// How many messages are meant, the limit aside.
pub async fn count_all(client: &Client, meant: &RetrySelection) -> Result<usize, Error> {
    match meant {
        RetrySelection::Ids(ids) => Ok(ids.len()),
        RetrySelection::Filter { watch, reasons, since, .. } => {
            let query = text!("operations/retry_find");
            let reasons = Some(reasons).filter(|reasons| !reasons.is_empty());
            let all: Option<i64> = None;
            Ok(client.query(query, &[watch, &reasons, since, &all]).await?.len())
        }
    }
}

/// The messages that are meant, latest first, each with what speaks against it. Ids that do not exist are
/// absent.
pub async fn look(
    client: &Client,
    config: &Config,
    meant: &RetrySelection,
) -> Result<Vec<RetryCandidate>, Error> {
    let ids = find(client, meant).await?;
    let rows = client.query(text!("operations/retry_look"), &[&ids]).await?;
    let mut entities = HashSet::new();
    let mut candidates = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(mut candidate) = candidate(row, config)? else {
            continue;
        };
        let entity = (candidate.watch.clone(), candidate.entity_key.clone());
        if candidate.refusal.is_none() && !entities.insert(entity) {
            candidate.refusal = Some(
                "a newer message of the same row is sent again and tells everything".to_owned(),
            );
        }
        candidates.push(candidate);
    }
    Ok(candidates)
}

fn candidate(row: &tokio_postgres::Row, config: &Config) -> Result<Option<RetryCandidate>, Error> {
    let Some(state) = state(row)? else {
        return Ok(None);
    };
    let (watch, channel): (String, String) = (row.try_get("watch")?, row.try_get("channel")?);
    let told_by: Option<i64> = row.try_get("told_by_id")?;
    let due_at: Option<Timestamp> = row.try_get("due_at")?;
    let refusal = against(state, due_at)
        .or_else(|| told_by.map(|id| format!("message {id} of the same row tells it instead")))
        .or_else(|| not_configured("watch", &watch, config.watch.contains_key(&watch)))
        .or_else(|| not_configured("channel", &channel, config.channel.contains_key(&channel)));
    Ok(Some(RetryCandidate {
        message_id: row.try_get("message_id")?,
        entity_key: row.try_get("entity_key")?,
        reason_text: row.try_get("reason_text")?,
        watch,
        state,
        refusal,
    }))
}

fn not_configured(what: &str, name: &str, is_there: bool) -> Option<String> {
    (!is_there).then(|| format!("{what} {name} is not in the configuration any more"))
}

/// What speaks against sending a message again, by where it stands.
fn against(state: State, due_at: Option<Timestamp>) -> Option<String> {
    let at = due_at.map_or(String::new(), |at| format!(" at {}", at.strftime("%Y-%m-%d %H:%M:%S")));
    let why = match state {
        State::Delivered | State::Read => "it has arrived".to_owned(),
        State::Sent => "the provider has accepted it; what became of it is awaited".to_owned(),
        State::Waiting | State::Scheduled => format!("it leaves by itself{at}"),
        State::Held => "it waits for a person: see rowbell held".to_owned(),
        State::Sending => "an attempt is under way".to_owned(),
        State::Unconfirmed if due_at.is_some() => {
            format!("evidence is awaited; the policy of its watch decides{at}")
        }
        State::Skipped(Skip::NoNetChange) => "what the recipient was last told was true".to_owned(),
        State::Skipped(Skip::Muted) => "its changes were muted: they count as told".to_owned(),
        State::Skipped(Skip::Superseded) => "a newer message of the same row told it".to_owned(),
        State::Skipped(Skip::NotNeeded) => "what it stood in for has arrived".to_owned(),
        State::Unconfirmed | State::Failed(_) | State::Skipped(_) => {
            return apply(state, Event::Reopened).err().map(|error| error.to_string());
        }
    };
    Some(why)
}

/// Puts these messages back into the queue; returns those that will be sent again.
pub async fn put_back(
    client: &Client,
    message_ids: &[i64],
    why: &str,
    now: Timestamp,
) -> Result<Vec<i64>, Error> {
    let query = text!("operations/retry_write");
    let rows = client.query(query, &[&message_ids, &why, &now]).await?;
    FromRows::from_rows(&rows)
}
