//! Messages that wait for a person, and what the person decides.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use crate::domain::message::state::Skip;
use crate::postgres::connection::session::{BY_A_PERSON, CHANNEL};
use crate::postgres::connection::statement::{FromRows, row, text};

/// Messages moved by one transaction: a decision about many never stands in the daemon's way.
const CHUNK: i64 = 2_000;

row! {
    /// A storm whose messages wait.
    #[derive(Clone, Debug, Serialize)]
    pub struct Hold {
        pub hold_id: i64,
        pub watch: String,
        /// What happened.
        pub reason: String,
        pub began_at: Timestamp,
        /// Messages that joined it, whatever became of them.
        pub joined: i64,
        /// Messages that wait.
        pub messages: i64,
        /// Entities of the first of them.
        pub examples: Vec<String> = examples,
    }
}

fn examples(row: &Row, column: &str) -> Result<Vec<String>, Error> {
    Ok(row.try_get::<_, Option<Vec<String>>>(column)?.unwrap_or_default())
}

/// Which holds are meant.
#[derive(Clone, Debug, Default)]
pub struct HoldSelection {
    pub hold_id: Option<i64>,
    pub watch: Option<String>,
}

/// The holds whose messages wait, oldest first.
pub async fn list(client: &Client, wanted: &HoldSelection) -> Result<Vec<Hold>, Error> {
    let query = text!("operations/held_list");
    let rows = client.query(query, &[&wanted.hold_id, &wanted.watch]).await?;
    FromRows::from_rows(&rows)
}

/// Lets up to `limit` messages of a hold leave, and wakes the daemon; how many.
pub async fn approve(
    client: &Client,
    hold: &Hold,
    limit: i64,
    now: Timestamp,
) -> Result<i64, Error> {
    let done = decide(client, text!("operations/held_approve"), hold, limit, now, &[]).await?;
    ring(client).await?;
    Ok(done)
}

/// Ends up to `limit` messages of a hold; how many.
pub async fn discard(
    client: &Client,
    hold: &Hold,
    limit: i64,
    reason: Skip,
    text: &str,
    now: Timestamp,
) -> Result<i64, Error> {
    let why: [&(dyn ToSql + Sync); 2] = [&reason.into_str(), &text];
    decide(client, text!("operations/held_discard"), hold, limit, now, &why).await
}

/// Runs a statement chunk by chunk until `limit` messages have moved or none is left; how many moved.
async fn decide(
    client: &Client,
    query: &str,
    hold: &Hold,
    limit: i64,
    now: Timestamp,
    more: &[&(dyn ToSql + Sync)],
) -> Result<i64, Error> {
    let statement = client.prepare(query).await?;
    let mut done = 0;
    while done < limit {
        let chunk = CHUNK.min(limit - done);
        let mut params: Vec<&(dyn ToSql + Sync)> = vec![&hold.watch, &hold.hold_id, &chunk, &now];
        params.extend(more);
        let moved = client.execute(&statement, &params).await?;
        if moved == 0 {
            break;
        }
        done += i64::try_from(moved).unwrap_or(0);
    }
    Ok(done)
}

/// Wakes the daemon: a person has let something leave.
pub async fn ring(client: &Client) -> Result<(), Error> {
    client.execute("select pg_notify($1, $2)", &[&CHANNEL, &BY_A_PERSON]).await?;
    Ok(())
}
