//! Messages that wait for a person, and what the person decides.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{Client, Error};

use crate::domain::message::state::Skip;

/// Messages moved by one transaction: a decision about many never stands in the daemon's way.
const CHUNK: i64 = 2_000;

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
    pub examples: Vec<String>,
}

/// Which holds are meant.
#[derive(Clone, Debug, Default)]
pub struct HoldSelection {
    pub hold_id: Option<i64>,
    pub watch: Option<String>,
}

/// The holds whose messages wait, oldest first.
pub async fn list(client: &Client, wanted: &HoldSelection) -> Result<Vec<Hold>, Error> {
    let query = include_str!("../../../sql/queries/operations/held_list.sql");
    let rows = client.query(query, &[&wanted.hold_id, &wanted.watch]).await?;
    rows.iter()
        .map(|row| {
            Ok(Hold {
                hold_id: row.try_get("hold_id")?,
                watch: row.try_get("watch")?,
                reason: row.try_get("reason")?,
                began_at: row.try_get("began_at")?,
                joined: row.try_get("joined")?,
                messages: row.try_get("messages")?,
                examples: row.try_get::<_, Option<Vec<String>>>("examples")?.unwrap_or_default(),
            })
        })
        .collect()
}

/// Lets up to `limit` messages of a hold leave, and wakes the daemon; how many.
pub async fn approve(
    client: &Client,
    hold: &Hold,
    limit: i64,
    now: Timestamp,
) -> Result<i64, Error> {
    let statement =
        client.prepare(include_str!("../../../sql/queries/operations/held_approve.sql")).await?;
    let mut done = 0;
    while done < limit {
        let chunk = CHUNK.min(limit - done);
        let moved = client.execute(&statement, &[&hold.watch, &hold.hold_id, &chunk, &now]).await?;
        if moved == 0 {
            break;
        }
        done += i64::try_from(moved).unwrap_or(0);
    }
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
    let statement =
        client.prepare(include_str!("../../../sql/queries/operations/held_discard.sql")).await?;
    let mut done = 0;
    while done < limit {
        let chunk = CHUNK.min(limit - done);
        let ended = client
            .execute(
                &statement,
                &[&hold.watch, &hold.hold_id, &chunk, &now, &reason.into_str(), &text],
            )
            .await?;
        if ended == 0 {
            break;
        }
        done += i64::try_from(ended).unwrap_or(0);
    }
    Ok(done)
}

/// Wakes the daemon: a person has let something leave.
pub async fn ring(client: &Client) -> Result<(), Error> {
    client.execute("select pg_notify('rowbell', 'look')", &[]).await?;
    Ok(())
}
