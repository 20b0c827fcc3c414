//! Everything that keeps messages from leaving, for people to see: copies, pauses, circuits, holds,
//! fallbacks that cannot begin.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{Client, Error, Row};

use crate::config::Config;
use crate::domain::limit::circuit::CircuitKey;
use crate::postgres::connection::identity;

/// What kind of standstill it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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

/// One thing that keeps messages from leaving.
#[derive(Clone, Debug, Serialize)]
pub struct Standstill {
    pub kind: Kind,
    /// `channel main`, `template x (en) on channel main`, `watch orders`, `hold 7 of watch orders`.
    pub what: String,
    /// `paused`, `open`, `probing`, `held`, `waiting` or `copy`.
    pub state: String,
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
    let name: String = row.try_get("name")?;
    let template: String = row.try_get("template")?;
    let (kind, what) = match row.try_get("kind")? {
        "copy" => (Kind::Copy, format!("this database was installed for environment {name}")),
        "circuit" if template.is_empty() => (Kind::Circuit, CircuitKey::channel(&name).to_string()),
        "circuit" => {
            let key = CircuitKey::template(&name, &template, row.try_get("language")?);
            (Kind::Circuit, key.to_string())
        }
        "fallback" => (Kind::Fallback, format!("channel {name}")),
        "hold" => (Kind::Hold, format!("hold {template} of watch {name}")),
        paused => (Kind::Paused, format!("{paused} {name}")),
    };
    Ok(Standstill {
        kind,
        what,
        state: row.try_get("state")?,
        reason: row.try_get("reason")?,
        since: row.try_get("since")?,
        next_try_at: row.try_get("next_try_at")?,
        messages: row.try_get("messages")?,
    })
}
