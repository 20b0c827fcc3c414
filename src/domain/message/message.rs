//! One message: made of a net change by claim, or read from its row by compose; what the gates decide is put
//! on it, and so it is written.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::message::attempt::AttemptId;
use crate::domain::message::state::{State, Wait};
use crate::domain::recipient::recipient::Recipient;
use crate::domain::text::summary::Wording;
use crate::domain::value::change::{self, NetChange, Operation, SetAside};
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
    /// Who is told; None: not known yet.
    pub recipient_key: Option<String>,
    /// It tells whoever the recipients are when it leaves.
    pub is_for_all: bool,
    /// It tells of a large transaction that leaves in its own turn.
    pub was_set_aside: bool,
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
    /// Who made the changes.
    pub changed_by: Vec<String>,
    pub state: State,
    pub reason_text: Option<String>,
    pub wait: Option<Wait>,
    pub due_at: Timestamp,
    /// The row that its recipient knows from now on, the inner None: that it is gone; None: they learn nothing.
    pub told_row: Option<Option<Row>>,
    /// None: it does not leave now.
    pub words: Option<Box<MessageWords>>,
    /// The storm that holds it.
    pub hold_id: Option<i64>,
}

impl Message {
    /// A message that waits, and is due at once.
    pub fn new(net: NetChange, channel: &str) -> Message {
        let hold_id = net.hold_id();
        let was_set_aside = net.set_aside == Some(SetAside::Leaves);
        Message {
            message_id: None,
            watch: net.watch,
            entity_key: net.entity_key,
            channel: channel.to_owned(),
            recipient_key: None,
            is_for_all: true,
            was_set_aside,
            fallback_of: None,
            attempt_count: 0,
            operation: net.operation,
            change_count: net.change_count,
            first_changed_at: net.first_changed_at,
            last_changed_at: net.last_changed_at,
            old_row: net.old_row,
            new_row: net.new_row,
            changed_by: net.changed_by,
            state: State::Waiting,
            reason_text: None,
            wait: None,
            due_at: net.last_changed_at,
            told_row: None,
            words: None,
            hold_id,
        }
    }

    /// Whether a request is made for it.
    pub fn is_requested(&self) -> bool {
        self.words.as_ref().is_some_and(|words| words.carried_by.is_none())
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
    /// What is told: the row is new to the recipient, differs from what they know, is gone or no longer theirs.
    pub operation: Operation,
    pub template: String,
    pub namespace: String,
    pub recipient: Recipient,
    pub wording: Wording,
    /// How long it may go without `delivered` before it goes on to the next channel.
    pub undelivered_after: Option<Duration>,
    /// For how many seconds WhatsApp keeps it for a phone that is off.
    pub time_to_live: Option<u32>,
    /// It leaves within quiet hours of the recipient, because it is urgent.
    pub in_quiet_hours: bool,
    /// The attempt whose request says this one's words too; None: it has a request of its own.
    pub carried_by: Option<AttemptId>,
}
