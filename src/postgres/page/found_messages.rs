//! Messages that somebody looks for.

use jiff::Timestamp;
use tokio_postgres::{Client, Error, Row};

use crate::domain::message::state::State;
use crate::domain::value::change::Operation;
use crate::postgres::connection::statement::{FromRows, text};
use crate::postgres::connection::word::{state, word};

/// Which messages are looked for. What is absent does not narrow it.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    pub watch: Option<String>,
    pub entity_key: Option<String>,
    pub state: Option<String>,
    pub reason: Option<String>,
    /// The forms of one phone.
    pub phones: Option<Vec<String>>,
    /// Opened from the one moment until before the other.
    pub opened: Option<(Timestamp, Timestamp)>,
    /// Only those with lower ids.
    pub before: Option<i64>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct FoundMessage {
    pub message_id: i64,
    pub watch: String,
    pub entity_key: String,
    pub state: State,
    pub operation: Operation,
    pub recipient_name: Option<String>,
    pub recipient_phone: Option<String>,
    pub channel: String,
    pub first_changed_at: Timestamp,
    pub due_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// The latest so many.
pub async fn find(
    client: &Client,
    filter: &MessageFilter,
    limit: i64,
) -> Result<Vec<FoundMessage>, Error> {
    let MessageFilter { watch, entity_key, state, reason, phones, opened, before } = filter;
    let (mut from, mut end) = (i64::MIN, before.unwrap_or(i64::MAX));
    if let Some((first, after)) = opened {
        from = first_since(client, *first).await?;
        end = end.min(first_since(client, *after).await?);
    }
    let rows = client
        .query(
            text!("page/page_messages"),
            &[watch, entity_key, state, reason, phones, &from, &end, &limit],
        )
        .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.extend(one(row)?);
    }
    Ok(found)
}

async fn first_since(client: &Client, since: Timestamp) -> Result<i64, Error> {
    client.query_one(text!("page/page_first_since"), &[&since]).await?.try_get("message_id")
}

fn one(row: &Row) -> Result<Option<FoundMessage>, Error> {
    let Some(state) = state(row)? else { return Ok(None) };
    Ok(Some(FoundMessage {
        message_id: row.try_get("message_id")?,
        watch: row.try_get("watch")?,
        entity_key: row.try_get("entity_key")?,
        state,
        operation: word(row, "operation")?,
        recipient_name: row.try_get("recipient_name")?,
        recipient_phone: row.try_get("recipient_phone")?,
        channel: row.try_get("channel")?,
        first_changed_at: row.try_get("first_changed_at")?,
        due_at: row.try_get("due_at")?,
        finished_at: row.try_get("finished_at")?,
    }))
}

/// Of which row a message tells.
pub async fn entity_of(
    client: &Client,
    message_id: i64,
) -> Result<Option<(String, String)>, Error> {
    FromRows::from_rows(&client.query(text!("page/page_message"), &[&message_id]).await?)
}

/// Messages whose request got no answer, oldest first.
pub async fn unconfirmed(client: &Client, limit: i64) -> Result<Vec<i64>, Error> {
    FromRows::from_rows(&client.query(text!("page/page_unconfirmed"), &[&limit]).await?)
}
