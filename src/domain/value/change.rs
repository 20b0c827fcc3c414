//! Captured changes, net changes, and the key by which they name a row.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::value::hex::hex;
use crate::domain::value::row::{self, Row};

/// What happened to a row, or to a recipient's part in it. The words are those of `rowbell.message_operation`; changes
/// that are captured know the first three.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    EnumString,
    IntoStaticStr,
    VariantArray,
    serde::Deserialize,
    serde::Serialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Operation {
    Insert,
    Update,
    Delete,
    /// The row went over to somebody else.
    Withdrawn,
}

impl Operation {
    /// Whether there is no row any more for the recipient.
    pub fn is_end(self) -> bool {
        matches!(self, Operation::Delete | Operation::Withdrawn)
    }
}

impl Operation {
    /// What leads from one state of a row to another.
    pub fn between(old: Option<&Row>, new: Option<&Row>) -> Operation {
        match (old, new) {
            (None, _) => Operation::Insert,
            (Some(_), None) => Operation::Delete,
            (Some(_), Some(_)) => Operation::Update,
        }
    }
}

/// The table that a change is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedTable {
    pub oid: u32,
    /// As it is called now: quoted and qualified.
    pub name: String,
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
    pub changed_by: String,
    pub mute_reason: Option<String>,
    /// The business transaction that made it.
    pub transaction_id: i64,
    pub set_aside: Option<SetAside>,
    /// None: it is not there any more, or it was not written down.
    pub table: Option<Box<CapturedTable>>,
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
    /// Who made them, each once, at most `MOST_ACTORS`.
    pub changed_by: Vec<String>,
    /// What holds for all of them.
    pub set_aside: Option<SetAside>,
}

/// What becomes of a change that was set aside, or is held with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetAside {
    /// It waits for a person: the hold.
    Waits(i64),
    /// It leaves like any other.
    Leaves,
    /// A person ended it, and why. Those that count as told are muted instead.
    Discarded(String),
}

/// How many names of those who made changes a message keeps.
const MOST_ACTORS: usize = 10;

/// A row was given another primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    pub watch: String,
    pub from: String,
    pub to: String,
}

impl NetChange {
    /// The first old row and the last new row stay.
    pub fn fold_in(&mut self, later: NetChange) {
        self.new_row = later.new_row;
        self.change_count += later.change_count;
        self.set_aside = match (self.set_aside.take(), later.set_aside) {
            (Some(SetAside::Waits(hold_id)), _) | (_, Some(SetAside::Waits(hold_id))) => {
                Some(SetAside::Waits(hold_id))
            }
            (earlier, later) => earlier.filter(|earlier| Some(earlier) == later.as_ref()),
        };
        for actor in later.changed_by {
            if self.changed_by.len() < MOST_ACTORS && !self.changed_by.contains(&actor) {
                self.changed_by.push(actor);
            }
        }
        self.first_changed_at = self.first_changed_at.min(later.first_changed_at);
        self.last_changed_at = self.last_changed_at.max(later.last_changed_at);
        self.operation = Operation::between(self.old_row.as_ref(), self.new_row.as_ref());
    }

    /// The hold in which it waits for a person.
    pub fn hold_id(&self) -> Option<i64> {
        match self.set_aside {
            Some(SetAside::Waits(hold_id)) => Some(hold_id),
            _ => None,
        }
    }

    /// It was inserted and is gone again.
    pub fn came_and_went(&self) -> bool {
        self.old_row.is_none() && self.new_row.is_none()
    }
}

/// Bytes of a key that are kept as they are. PostgreSQL indexes 2,704 at most.
const LONGEST_KEY: usize = 1_000;

/// A key that an index can hold: of a longer one the beginning, and a digest of the whole.
pub fn bounded_key(key: String) -> String {
    if key.len() <= LONGEST_KEY {
        return key;
    }
    let digest = Sha256::digest(key.as_bytes());
    let digest = hex(&digest[..16]);
    let mut end = LONGEST_KEY - 100;
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…{digest}", &key[..end])
}

/// The key of a row as text: the value alone, or the values joined by commas, with a backslash
/// before each comma and backslash inside them. The trigger writes the same.
pub fn entity_key(row: &Row, key_columns: &[String]) -> Option<String> {
    let texts: Option<Vec<String>> =
        key_columns.iter().map(|column| key_text(row.get(column.as_str())?)).collect();
    let mut texts = texts?;
    if texts.len() == 1 {
        return texts.pop().map(bounded_key);
    }
    let escaped: Vec<String> =
        texts.iter().map(|text| text.replace('\\', "\\\\").replace(',', "\\,")).collect();
    Some(bounded_key(escaped.join(",")))
}

/// The key columns with the values, as texts, that the text of a key names; the number of its parts, if that is
/// another one.
pub fn key_row(key: &str, key_columns: &[String]) -> Result<Row, usize> {
    let parts = if key_columns.len() == 1 { vec![key.to_owned()] } else { split_key(key) };
    if parts.len() != key_columns.len() {
        return Err(parts.len());
    }
    Ok(row::of(key_columns, parts.into_iter().map(Value::String)))
}

/// Parts between commas; a backslash makes the next character part of the value.
fn split_key(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = key.chars();
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            (',', _) => parts.push(String::new()),
            ('\\', Some(part)) => part.extend(characters.next()),
            (_, Some(part)) => part.push(character),
            (_, None) => {}
        }
    }
    parts
}

fn key_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(value: Value) -> Option<Row> {
        row::of_json(value)
    }

    #[test]
    fn parts_of_a_composite_key_may_hold_commas_and_backslashes() {
        assert_eq!(split_key("7,2026-06-25"), ["7", "2026-06-25"]);
        assert_eq!(split_key(r"a\,b,c\\d"), ["a,b", r"c\d"]);
        assert_eq!(split_key(",x"), ["", "x"]);
        let key = ["a".to_owned(), "b".to_owned()];
        assert_eq!(key_row("1,2", &key), Ok(row(json!({"a": "1", "b": "2"})).unwrap_or_default()));
        assert_eq!(key_row("1,2,3", &key), Err(3));
    }

    #[test]
    fn parts_of_a_composite_key_are_escaped() {
        let key = ["a".to_owned(), "b".to_owned()];
        let row = row(json!({"a": "x,y", "b": "c\\d"})).unwrap_or_default();
        assert_eq!(entity_key(&row, &key).as_deref(), Some(r"x\,y,c\\d"));
    }
}
