//! Messages whose request got no answer, for a person who knows more.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_postgres::{Client, Error};

use crate::domain::message::state::State;
use crate::postgres::connection::statement::{statements, text};
use crate::postgres::connection::word::state;

/// A message that a person may settle. Says nothing of who is told what.
#[derive(Clone, Debug)]
pub struct UnconfirmedMessage {
    pub message_id: i64,
    pub watch: String,
    pub entity_key: String,
    pub channel: String,
    pub state: State,
    /// When its last attempt began.
    pub started_at: Option<Timestamp>,
    /// Why no answer came.
    pub error_text: Option<String>,
    /// When the policy of its watch decides; None: nothing is awaited any more.
    pub decide_at: Option<Timestamp>,
}

/// These messages, latest first. Ids that do not exist are absent.
pub async fn look(client: &Client, ids: &[i64]) -> Result<Vec<UnconfirmedMessage>, Error> {
    let rows = client.query(text!("unconfirmed/unconfirmed_look"), &[&ids]).await?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in &rows {
        let Some(state) = state(row)? else { continue };
        messages.push(UnconfirmedMessage {
            message_id: row.try_get("message_id")?,
            watch: row.try_get("watch")?,
            entity_key: row.try_get("entity_key")?,
            channel: row.try_get("channel")?,
            state,
            started_at: row.try_get("started_at")?,
            error_text: row.try_get("error_text")?,
            decide_at: row.try_get("decide_at")?,
        });
    }
    Ok(messages)
}

statements! {
    /// Notes who says that a message arrived.
    unconfirmed_confirm(tx: &Transaction<'_>, message_id: i64, confirmed_by: &str, now: Timestamp)
        -> () = "unconfirmed/unconfirmed_confirm";
}
