//! The queries of what keeps messages from leaving: circuits, pauses, the copy of a database.

use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use strum::EnumString;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row as SqlRow};

use crate::domain::limit::circuit::{CircuitKey, CircuitState};
use crate::postgres::connection::identity::Identity;
use crate::postgres::connection::statement::{FromRows, named, row, statements};
use crate::postgres::connection::word::word;

/// Something that keeps messages from leaving.
#[derive(Clone, Debug)]
pub enum Blocker {
    /// Errors; the next message may be tried at `probe_at`.
    Circuit {
        key: CircuitKey,
        reason: String,
        probe_at: Timestamp,
    },
    /// Not one of them: this daemon may send on the channel.
    Lease {
        channel: String,
        epoch: i64,
    },
    PausedChannel(String),
    PausedWatch(String),
    /// A storm within a minute that messages joined lately.
    Hold {
        watch: String,
        hold_id: i64,
    },
    /// The database was installed for this environment, server and oid, and these are not ours.
    Copy(Identity),
}

/// The kinds of rows of `blockers_read`.
#[derive(EnumString)]
#[strum(serialize_all = "snake_case")]
enum BlockerRow {
    Lease,
    Circuit,
    Pause,
    Hold,
    Copy,
}

pub async fn blockers_read(
    tx: &Transaction<'_>,
    channels: &[&str],
    environment: &str,
    system_identifier: Option<&str>,
    joined_since: Timestamp,
    instance: &str,
) -> Result<Vec<Blocker>, Error> {
    let params: &[&(dyn ToSql + Sync)] =
        &[&channels, &environment, &system_identifier, &joined_since, &instance];
    let rows = named!(tx, "gate/blockers_read", params)?;
    rows.iter().map(blocker).collect()
}

fn blocker(row: &SqlRow) -> Result<Blocker, Error> {
    Ok(match word(row, "kind")? {
        BlockerRow::Lease => {
            Blocker::Lease { channel: row.try_get("channel")?, epoch: row.try_get("epoch")? }
        }
        BlockerRow::Circuit => Blocker::Circuit {
            key: key(row.try_get("channel")?, row.try_get("template")?, row.try_get("language")?),
            reason: row.try_get("reason")?,
            probe_at: row.try_get("probe_at")?,
        },
        BlockerRow::Pause => match row.try_get("watch")? {
            Some(watch) => Blocker::PausedWatch(watch),
            None => Blocker::PausedChannel(row.try_get("channel")?),
        },
        BlockerRow::Hold => {
            Blocker::Hold { watch: row.try_get("watch")?, hold_id: row.try_get("hold_id")? }
        }
        BlockerRow::Copy => Blocker::Copy(Identity {
            environment: row.try_get("environment")?,
            system_identifier: row.try_get("system_identifier")?,
            database_oid: row.try_get("database_oid")?,
        }),
    })
}

fn key(channel: &str, template: &str, language: &str) -> CircuitKey {
    if template.is_empty() {
        CircuitKey::channel(channel)
    } else {
        CircuitKey::template(channel, template, language)
    }
}

/// The words of a key in the table.
fn parts(key: &CircuitKey) -> (&str, &str) {
    key.template.as_ref().map_or(("", ""), |(name, language)| (name, language))
}

row! {
    /// Where a circuit stands.
    #[derive(Clone, Debug)]
    pub struct CircuitRow {
        pub state: CircuitState = word,
        pub reason: String,
        pub error_code: Option<i32>,
        pub is_by_receipt: bool,
        pub since: Timestamp,
        pub pause: Duration = seconds,
        pub probe_at: Timestamp,
        pub probe_message_id: Option<i64>,
        pub closed_at: Option<Timestamp>,
        pub opened_count: i32,
    }
}

fn seconds(row: &SqlRow, column: &str) -> Result<Duration, Error> {
    Ok(Duration::from_secs_f64(row.try_get::<_, f64>(column)?.max(0.0)))
}

/// The circuit, locked. None: it never opened.
pub async fn circuit_lock(
    tx: &Transaction<'_>,
    key: &CircuitKey,
) -> Result<Option<CircuitRow>, Error> {
    let (template, language) = parts(key);
    let rows = named!(tx, "circuit/circuit_lock", &[&key.channel, &template, &language])?;
    FromRows::from_rows(&rows)
}

pub async fn circuit_write(
    tx: &Transaction<'_>,
    key: &CircuitKey,
    circuit: &CircuitRow,
    now: Timestamp,
) -> Result<(), Error> {
    let (template, language) = parts(key);
    let pause = circuit.pause.as_secs_f64();
    let params: &[&(dyn ToSql + Sync)] = &[
        &key.channel,
        &template,
        &language,
        &circuit.state.into_str(),
        &circuit.reason,
        &circuit.error_code,
        &circuit.is_by_receipt,
        &circuit.since,
        &pause,
        &circuit.probe_at,
        &circuit.probe_message_id,
        &circuit.closed_at,
        &circuit.opened_count,
        &now,
    ];
    named!(tx, "circuit/circuit_write", params).map(drop)
}

/// Takes the right to try one message; false when there is none.
pub async fn circuit_probe(
    tx: &Transaction<'_>,
    key: &CircuitKey,
    message_id: i64,
    now: Timestamp,
    next: Timestamp,
) -> Result<bool, Error> {
    let (template, language) = parts(key);
    let params: &[&(dyn ToSql + Sync)] =
        &[&key.channel, &template, &language, &message_id, &now, &next];
    Ok(!named!(tx, "circuit/circuit_probe", params)?.is_empty())
}

/// Messages that waited for the circuit are due now.
pub async fn circuit_release(
    tx: &Transaction<'_>,
    key: &CircuitKey,
    now: Timestamp,
) -> Result<(), Error> {
    let (template, language) = parts(key);
    named!(tx, "circuit/circuit_release", &[&key.channel, &template, &language, &now]).map(drop)
}

/// Puts messages that a burst ended back; returns them.
pub async fn circuit_take_back(
    tx: &Transaction<'_>,
    key: &CircuitKey,
    messages: &[i64],
    due_at: Timestamp,
    why: &str,
    now: Timestamp,
) -> Result<Vec<i64>, Error> {
    let (template, language) = parts(key);
    let params: &[&(dyn ToSql + Sync)] = &[&messages, &due_at, &why, &now, &template, &language];
    FromRows::from_rows(&named!(tx, "circuit/circuit_take_back", params)?)
}

statements! {
    /// Notes that the provider reports an opt-out of a message's recipient.
    opt_out_report_add(tx: &Transaction<'_>, message_id: i64, channel: &str, now: Timestamp)
        -> () = "circuit/opt_out_report_add";

    /// Forgets what was reported on a channel.
    opt_out_report_drop(tx: &Transaction<'_>, channel: &str)
        -> () = "circuit/opt_out_report_drop";

    /// Believes what was reported until then; the channels with too many reports for that, and how many.
    opt_out_report_take(tx: &Transaction<'_>, until: Timestamp, too_many: i64, why: &str)
        -> Vec<(String, i64)> = "circuit/opt_out_report_take";
}
