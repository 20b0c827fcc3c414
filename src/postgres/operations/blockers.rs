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
use crate::postgres::connection::word::{maybe, word};

/// What kind of standstill it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
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
pub enum StandstillState {
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
pub enum Subject {
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

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Database(environment) => {
                write!(f, "this database was installed for environment {environment}")
            }
            Subject::Channel(name) => write!(f, "channel {name}"),
            Subject::Template(key) => key.fmt(f),
            Subject::Watch(name) => write!(f, "watch {name}"),
            Subject::Hold { hold_id, watch } => write!(f, "hold {hold_id} of watch {watch}"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One thing that keeps messages from leaving.
#[derive(Clone, Debug, Serialize)]
pub struct Standstill {
    pub kind: Kind,
    pub what: Subject,
    pub state: StandstillState,
    pub reason: Option<String>,
    pub since: Timestamp,
    /// When the next message is tried, if it starts again by itself.
    pub next_try_at: Option<Timestamp>,
    /// Messages of a hold, or of a fallback, that wait.
    pub messages: Option<i64>,
}

/// Everything that stands still now.
pub async fn read(client: &Client, config: &Config) -> Result<Vec<Standstill>, Error> {
    let server = identity::system_identifier(client).await?;
    let query = include_str!("../../../sql/queries/status/status_stops.sql");
    let rows = client.query(query, &[&config.installation.environment, &server]).await?;
    rows.iter().map(standstill).collect()
}

fn standstill(row: &Row) -> Result<Standstill, Error> {
    let kind = word(row, "kind")?;
    let waits_for: Option<FallbackWait> = maybe(row, "waits_for")?;
    let reason: Option<String> = row.try_get("reason")?;
    Ok(Standstill {
        kind,
        what: subject(row, kind)?,
        state: word(row, "state")?,
        reason: reason.or(waits_for.map(|wait| wait.in_words().to_owned())),
        since: row.try_get("since")?,
        next_try_at: row.try_get("next_try_at")?,
        messages: row.try_get("messages")?,
    })
}

fn subject(row: &Row, kind: Kind) -> Result<Subject, Error> {
    Ok(match kind {
        Kind::Copy => Subject::Database(row.try_get("environment")?),
        Kind::Hold => {
            Subject::Hold { hold_id: row.try_get("hold_id")?, watch: row.try_get("watch")? }
        }
        Kind::Paused | Kind::Circuit | Kind::Fallback => {
            let template: Option<&str> = row.try_get("template")?;
            match (row.try_get::<_, Option<String>>("watch")?, template) {
                (Some(watch), _) => Subject::Watch(watch),
                (None, None) => Subject::Channel(row.try_get("channel")?),
                (None, Some(template)) => Subject::Template(CircuitKey::template(
                    row.try_get("channel")?,
                    template,
                    row.try_get("language")?,
                )),
            }
        }
    })
}
