//! Captured changes, and how those of one entity fold into one net change.

use jiff::Timestamp;

use super::row::Row;

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Insert,
    Update,
    Delete,
}

impl Operation {
    /// The word in configuration, SQL and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }
}

/// One captured change: a row of `rowbell.change`.
#[derive(Clone, Debug)]
pub struct Change {
    pub change_id: i64,
    pub watch: String,
    pub entity_key: String,
    pub operation: Operation,
    pub old_row: Option<Row>,
    pub new_row: Option<Row>,
    pub changed_at: Timestamp,
    pub mute_reason: Option<String>,
}

/// The changes of one entity, folded: from the first old row to the last new row.
#[derive(Clone, Debug)]
pub struct NetChange {
    pub watch: String,
    pub entity_key: String,
    pub operation: Operation,
    pub old_row: Option<Row>,
    pub new_row: Option<Row>,
    pub change_count: i32,
    pub first_changed_at: Timestamp,
    pub last_changed_at: Timestamp,
}
