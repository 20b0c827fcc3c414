//! Messages that wait for a person, and what the person decides.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use crate::domain::message::state::Skip;
use crate::postgres::connection::session::{BY_A_PERSON, CHANNEL};
use crate::postgres::connection::statement::{FromRows, row, text};
use crate::postgres::queries::claimed_batch::LargeDecision;

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
    client: &mut Client,
    hold: &Hold,
    limit: i64,
    now: Timestamp,
) -> Result<i64, Error> {
    approve_as(client, hold, limit, None, now).await
}

/// The same in the name of somebody who is not the user of the database.
pub async fn approve_as(
    client: &mut Client,
    hold: &Hold,
    limit: i64,
    by: Option<&str>,
    now: Timestamp,
) -> Result<i64, Error> {
    let mut done = 0;
    while done < limit {
        let chunk = CHUNK.min(limit - done);
        let query = text!("operations/held_approve");
        let params: &[&(dyn ToSql + Sync)] = &[&hold.watch, &hold.hold_id, &chunk, &now, &by];
        let moved = client.query(query, params).await?;
        done += moved.len() as i64;
        if moved.is_empty() {
            break;
        }
    }
    let text = by.map_or("approved".to_owned(), |by| format!("approved by {by}"));
    done += decide(client, hold, limit - done, LargeDecision::Leaves, &text).await?;
    ring(client).await?;
    Ok(done)
}

/// Ends up to `limit` messages of a hold; how many. The daemon ends those that were not opened yet.
pub async fn discard(
    client: &mut Client,
    hold: &Hold,
    limit: i64,
    reason: Skip,
    text: &str,
    now: Timestamp,
) -> Result<i64, Error> {
    let mut done = 0;
    while done < limit {
        let chunk = CHUNK.min(limit - done);
        let tx = client.transaction().await?;
        let params: &[&(dyn ToSql + Sync)] =
            &[&hold.watch, &hold.hold_id, &chunk, &now, &reason.into_str(), &text];
        let ended = tx.query(text!("operations/held_discard"), params).await?;
        let ended: Vec<i64> = FromRows::from_rows(&ended)?;
        tx.execute(text!("ledger/told_assume"), &[&ended]).await?;
        tx.commit().await?;
        done += ended.len() as i64;
        if ended.is_empty() {
            break;
        }
    }
    let decision = match reason {
        Skip::Muted => LargeDecision::Told,
        _ => LargeDecision::Discarded,
    };
    done += decide(client, hold, limit - done, decision, text).await?;
    ring(client).await?;
    Ok(done)
}

/// Decides about up to `limit` entities of a hold whose changes are set aside: one row, however many they are.
async fn decide(
    client: &mut Client,
    hold: &Hold,
    limit: i64,
    decision: LargeDecision,
    text: &str,
) -> Result<i64, Error> {
    let mut done = 0;
    loop {
        let tx = client.transaction().await?;
        let left = limit - done;
        let part = match left {
            1.. => tx.query_opt(text!("storm/large_find"), &[&hold.hold_id, &left]).await?,
            _ => None,
        };
        let Some(part) = part else { return Ok(done) };
        let large: i64 = part.try_get("large_transaction_id")?;
        let entities: i64 = part.try_get("entity_count")?;
        let last: i64 = part.try_get("last_change_id")?;
        let params: &[&(dyn ToSql + Sync)] =
            &[&large, &last, &entities, &decision.into_str(), &text];
        tx.execute(text!("storm/large_decide"), params).await?;
        tx.commit().await?;
        done += entities;
    }
}

/// Wakes the daemon: a person has let something leave.
pub async fn ring(client: &Client) -> Result<(), Error> {
    client.execute("select pg_notify($1, $2)", &[&CHANNEL, &BY_A_PERSON]).await?;
    Ok(())
}
