//! What the catalog and the statistics of the server say is wrong: each query finds one kind of fault, and gives the
//! statements that mend it.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

use crate::finding::{Finding, Severity};
use crate::postgres::connection::statement::text;
use crate::postgres::connection::word::word;

/// From where on something is worth a word.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Seconds that a transaction may last.
    pub transaction_seconds: f64,
    /// Bytes of its log that the server may keep for a slot that nobody reads.
    pub slot_bytes: f64,
    /// How full the queue of notifications may be, 0 to 1.
    pub notification_queue: f64,
    /// Dead rows in a table of ours.
    pub dead_rows: i64,
    /// Bytes of a table that may be read in whole.
    pub scan_bytes: i64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            transaction_seconds: 900.0,
            slot_bytes: 1_073_741_824.0,
            notification_queue: 0.05,
            dead_rows: 50_000,
            scan_bytes: 1_048_576,
        }
    }
}

/// What cannot be asked, and why.
pub type Unasked = (&'static str, Error);

/// A parameter with its type.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Everything that the server says by itself.
pub async fn findings(
    client: &Client,
    watched: &[u32],
    sessions: i32,
    limits: &Limits,
) -> (Vec<Finding>, Vec<Unasked>) {
    let watched = (&watched as _, Type::OID_ARRAY);
    let queries: [(&str, &str, Vec<Parameter<'_>>); 7] = [
        ("the role of the daemon", text!("doctor/role"), vec![watched, (&sessions, Type::INT4)]),
        ("who may read rowbell", text!("doctor/exposed"), vec![]),
        ("the schema of rowbell", text!("doctor/own_schema"), vec![]),
        ("the tables of rowbell", text!("doctor/own_tables"), vec![]),
        ("settings of roles and of the server", text!("doctor/settings"), vec![]),
        (
            "sessions that hold others back",
            text!("doctor/sessions"),
            vec![
                (&limits.transaction_seconds, Type::FLOAT8),
                (&limits.slot_bytes, Type::FLOAT8),
                (&limits.notification_queue, Type::FLOAT8),
            ],
        ),
        ("dead rows", text!("doctor/dead_rows"), vec![(&limits.dead_rows, Type::INT8)]),
    ];
    let (mut found, mut unasked) = (Vec::new(), Vec::new());
    for (about, sql, parameters) in queries {
        match ask(client, sql, &parameters).await {
            Ok(more) => found.extend(more),
            Err(error) => unasked.push((about, error)),
        }
    }
    (found, unasked)
}

async fn ask(
    client: &Client,
    sql: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Finding>, Error> {
    client.query_typed(sql, parameters).await?.iter().map(finding).collect()
}

fn finding(row: &Row) -> Result<Finding, Error> {
    let severity: Severity = word(row, "severity")?;
    let (key, what): (String, String) = (row.try_get("key")?, row.try_get("what")?);
    let statements: Vec<String> = row.try_get("sql")?;
    let found = Finding { severity, ..Finding::new(key, what) };
    Ok(statements.into_iter().fold(found, Finding::sql))
}

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    /// `server_version_num`: 150018 is 15.18.
    pub version: i32,
    pub encoding: String,
    /// Whether our session is encrypted.
    pub is_secured: bool,
    /// Where its data are, if we may know.
    pub data_folder: Option<String>,
    /// Whether it is on this machine.
    pub is_here: bool,
}

/// Asks the server about itself.
pub async fn server(client: &Client) -> Result<ServerFacts, Error> {
    let row = client.query_one(text!("doctor/server"), &[]).await?;
    Ok(ServerFacts {
        version: row.try_get("version")?,
        encoding: row.try_get("encoding")?,
        is_secured: row.try_get("is_secured")?,
        data_folder: row.try_get("data_folder")?,
        is_here: row.try_get("is_here")?,
    })
}
