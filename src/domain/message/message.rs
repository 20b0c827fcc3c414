//! One message: made of a net change by claim, or read from its row by compose; what the gates decide is put
//! on it, and so it is written.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::message::state::{State, Wait};
use crate::domain::recipient::recipient::Recipient;
use crate::domain::text::summary::Wording;
use crate::domain::value::change::{self, NetChange, Operation};
use crate::domain::value::row::Row;

/// What is told of one entity, on one channel.
#[derive(Clone, Debug)]
pub struct Message {
    /// None: it has no row yet.
    pub message_id: Option<i64>,
    pub watch: String,
    pub entity_key: String,
    /// The channel that sends it.
    pub channel: String,
    /// The message that it stands in for.
    pub fallback_of: Option<i64>,
    /// Attempts that were made in vain.
    pub attempt_count: i16,
    pub operation: Operation,
    pub change_count: i32,
    pub first_changed_at: Timestamp,
    pub last_changed_at: Timestamp,
    pub old_row: Option<Row>,
    pub new_row: Option<Row>,
    pub state: State,
    pub reason_text: Option<String>,
    pub wait: Option<Wait>,
    pub due_at: Timestamp,
    /// None: it does not leave now.
    pub words: Option<Box<MessageWords>>,
    /// The storm that holds it.
    pub hold_id: Option<i64>,
}

impl Message {
    /// A message that waits, and is due at once.
    pub fn new(net: NetChange, channel: &str) -> Message {
        Message {
            message_id: None,
            watch: net.watch,
            entity_key: net.entity_key,
            channel: channel.to_owned(),
            fallback_of: None,
            attempt_count: 0,
            operation: net.operation,
            change_count: net.change_count,
            first_changed_at: net.first_changed_at,
            last_changed_at: net.last_changed_at,
            old_row: net.old_row,
            new_row: net.new_row,
            state: State::Waiting,
            reason_text: None,
            wait: None,
            due_at: net.last_changed_at,
            words: None,
            hold_id: net.hold_id,
        }
    }

    /// The row as captured last; for a delete, as it was before. A row that came and went has only its key.
    pub fn captured(&self, key_columns: &[String]) -> Cow<'_, Row> {
        match self.new_row.as_ref().or(self.old_row.as_ref()) {
            Some(row) => Cow::Borrowed(row),
            None => Cow::Owned(change::key_row(&self.entity_key, key_columns).unwrap_or_default()),
        }
    }
}

/// What a message says and to whom, once that is decided.
#[derive(Clone, Debug)]
pub struct MessageWords {
    /// The row as it is told; None: that it is gone.
    pub told_row: Option<Row>,
    pub template: String,
    pub namespace: String,
    pub recipient: Recipient,
    pub wording: Wording,
    /// How long it may go without `delivered` before it goes on to the next channel.
    pub undelivered_after: Option<Duration>,
    /// For how many seconds WhatsApp keeps it for a phone that is off.
    pub time_to_live: Option<u32>,
}
