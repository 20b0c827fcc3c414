//! Everything that keeps messages from leaving, for people to see: copies, pauses, circuits, holds,
//! fallbacks that cannot begin.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use strum::EnumString;
use tokio_postgres::{Client, Error, Row};

use crate::config::Config;
use crate::domain::limit::circuit::CircuitKey;
use crate::domain::message::fallback::FallbackWait;
use crate::postgres::connection::identity;
use crate::postgres::connection::statement::text;
use crate::postgres::connection::word::{maybe, word};

/// What kind of blocker it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BlockerKind {
    /// The database is a copy: nothing leaves.
    Copy,
    /// A person paused a channel or a watch.
    Paused,
    /// Errors stopped a channel or a template.
    Circuit,
    /// A storm: messages wait for a person.
    Hold,
    /// Messages that should go on to their next channel, and do not yet.
    Fallback,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BlockerState {
    Copy,
    Paused,
    Open,
    /// One message is being tried.
    Probing,
    Held,
    Waiting,
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockerSubject {
    /// All of the database, which was installed for this environment.
    Database(String),
    Channel(String),
    /// A template in one language on a channel.
    Template(CircuitKey),
    Watch(String),
    Hold {
        hold_id: i64,
        watch: String,
    },
}

impl fmt::Display for BlockerSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlockerSubject::Database(environment) => {
                write!(f, "this database was installed for environment {environment}")
            }
            BlockerSubject::Channel(name) => write!(f, "channel {name}"),
            BlockerSubject::Template(key) => key.fmt(f),
            BlockerSubject::Watch(name) => write!(f, "watch {name}"),
            BlockerSubject::Hold { hold_id, watch } => write!(f, "hold {hold_id} of watch {watch}"),
        }
    }
}

impl Serialize for BlockerSubject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One thing that keeps messages from leaving.
#[derive(Clone, Debug, Serialize)]
pub struct ActiveBlocker {
    pub kind: BlockerKind,
    pub what: BlockerSubject,
    pub state: BlockerState,
    pub reason: Option<String>,
    pub since: Timestamp,
    /// When the next message is tried, if it starts again by itself.
    pub next_try_at: Option<Timestamp>,
    /// Messages of a hold, or of a fallback, that wait.
    pub messages: Option<i64>,
}

/// Everything that stands still now.
pub async fn read(client: &Client, config: &Config) -> Result<Vec<ActiveBlocker>, Error> {
    let server = identity::system_identifier(client).await?;
    let query = text!("status/status_blockers");
    let rows = client.query(query, &[&config.installation.environment, &server]).await?;
    rows.iter().map(blocker).collect()
}

fn blocker(row: &Row) -> Result<ActiveBlocker, Error> {
    let kind = word(row, "kind")?;
    let waits_for: Option<FallbackWait> = maybe(row, "waits_for")?;
    let reason: Option<String> = row.try_get("reason")?;
    Ok(ActiveBlocker {
        kind,
        what: subject(row, kind)?,
        state: word(row, "state")?,
        reason: reason.or(waits_for.map(|wait| wait.in_words().to_owned())),
        since: row.try_get("since")?,
        next_try_at: row.try_get("next_try_at")?,
        messages: row.try_get("messages")?,
    })
}

fn subject(row: &Row, kind: BlockerKind) -> Result<BlockerSubject, Error> {
    Ok(match kind {
        BlockerKind::Copy => BlockerSubject::Database(row.try_get("environment")?),
        BlockerKind::Hold => {
            BlockerSubject::Hold { hold_id: row.try_get("hold_id")?, watch: row.try_get("watch")? }
        }
        BlockerKind::Paused | BlockerKind::Circuit | BlockerKind::Fallback => {
            let template: Option<&str> = row.try_get("template")?;
            match (row.try_get::<_, Option<String>>("watch")?, template) {
                (Some(watch), _) => BlockerSubject::Watch(watch),
                (None, None) => BlockerSubject::Channel(row.try_get("channel")?),
                (None, Some(template)) => BlockerSubject::Template(CircuitKey::template(
                    row.try_get("channel")?,
                    template,
                    row.try_get("language")?,
                )),
            }
        }
    })
}
