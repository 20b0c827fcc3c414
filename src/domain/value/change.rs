//! Captured changes, and how those of one entity fold into one net change.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::value::row::Row;

/// What happened to a row. The words are those of `rowbell.change_operation`.
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
    /// The business transaction that made it.
    pub transaction_id: i64,
    /// The storm that it belongs to.
    pub hold_id: Option<i64>,
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
    /// The storm that one of the changes belongs to.
    pub hold_id: Option<i64>,
}

/// A row was given another primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    pub watch: String,
    pub from: String,
    pub to: String,
}

/// What a batch of changes comes down to.
#[derive(Debug, Default)]
pub struct Folded {
    /// One net change for each entity that still has one. An entity that was inserted and deleted
    /// again has none.
    pub nets: Vec<NetChange>,
    /// Muted changes by themselves, with their reason: they count as told.
    pub muted: Vec<(NetChange, String)>,
    /// In the order in which they were made.
    pub renames: Vec<Rename>,
}

/// Folds changes, given in order of capture. `key_columns` tells the key of a watch; without it no
/// rename is noticed.
pub fn fold<'a>(
    changes: Vec<Change>,
    key_columns: &dyn Fn(&str) -> Option<&'a [String]>,
) -> Folded {
    let mut folded = Folded::default();
    let mut place: HashMap<(String, String), usize> = HashMap::new();
    let mut nets: Vec<Option<NetChange>> = Vec::new();
    for change in changes {
        let rename = rename(&change, key_columns(&change.watch));
        let (mut net, mute_reason) = NetChange::of(change);
        if let Some(rename) = rename {
            net.entity_key.clone_from(&rename.to);
            if let Some(at) = place.remove(&(rename.watch.clone(), rename.from.clone())) {
                if let Some(earlier) = &mut nets[at] {
                    earlier.entity_key.clone_from(&rename.to);
                }
                place.insert((rename.watch.clone(), rename.to.clone()), at);
            }
            folded.renames.push(rename);
        }
        if let Some(reason) = mute_reason {
            folded.muted.push((net, reason));
            continue;
        }
        let entity = (net.watch.clone(), net.entity_key.clone());
        match place.get(&entity).and_then(|at| nets[*at].as_mut()) {
            Some(earlier) => earlier.fold_in(net),
            None => {
                place.insert(entity, nets.len());
                nets.push(Some(net));
            }
        }
    }
    folded.nets = nets.into_iter().flatten().filter(|net| !net.came_and_went()).collect();
    folded
}

impl NetChange {
    /// With the reason why it is muted.
    fn of(change: Change) -> (NetChange, Option<String>) {
        let net = NetChange {
            watch: change.watch,
            entity_key: change.entity_key,
            operation: change.operation,
            old_row: change.old_row,
            new_row: change.new_row,
            change_count: 1,
            first_changed_at: change.changed_at,
            last_changed_at: change.changed_at,
            hold_id: change.hold_id,
        };
        (net, change.mute_reason)
    }

    /// The first old row and the last new row stay.
    fn fold_in(&mut self, later: NetChange) {
        self.new_row = later.new_row;
        self.change_count += later.change_count;
        self.hold_id = self.hold_id.or(later.hold_id);
        self.first_changed_at = self.first_changed_at.min(later.first_changed_at);
        self.last_changed_at = self.last_changed_at.max(later.last_changed_at);
        self.operation = match (&self.old_row, &self.new_row) {
            (None, _) => Operation::Insert,
            (Some(_), None) => Operation::Delete,
            (Some(_), Some(_)) => Operation::Update,
        };
    }

    fn came_and_went(&self) -> bool {
        self.old_row.is_none() && self.new_row.is_none()
    }
}

fn rename(change: &Change, key_columns: Option<&[String]>) -> Option<Rename> {
    if change.operation != Operation::Update {
        return None;
    }
    let to = entity_key(change.new_row.as_ref()?, key_columns?)?;
    (to != change.entity_key).then(|| Rename {
        watch: change.watch.clone(),
        from: change.entity_key.clone(),
        to,
    })
}

/// The key of a row as text: the value alone, or the values joined by commas, with a backslash
/// before each comma and backslash inside them. The trigger writes the same.
pub fn entity_key(row: &Row, key_columns: &[String]) -> Option<String> {
    let texts: Option<Vec<String>> =
        key_columns.iter().map(|column| key_text(row.get(column)?)).collect();
    let mut texts = texts?;
    if texts.len() == 1 {
        return texts.pop();
    }
    let escaped: Vec<String> =
        texts.iter().map(|text| text.replace('\\', "\\\\").replace(',', "\\,")).collect();
    Some(escaped.join(","))
}

/// The key columns with the values, as texts, that the text of a key names; the number of its parts, if that is
/// another one.
pub fn key_row(key: &str, key_columns: &[String]) -> Result<Row, usize> {
    let parts = if key_columns.len() == 1 { vec![key.to_owned()] } else { split_key(key) };
    if parts.len() != key_columns.len() {
        return Err(parts.len());
    }
    Ok(key_columns.iter().cloned().zip(parts.into_iter().map(Value::String)).collect())
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
        value.as_object().cloned()
    }

    fn change(id: i64, key: &str, old: Value, new: Value) -> Change {
        let operation = match (old.is_null(), new.is_null()) {
            (true, _) => Operation::Insert,
            (_, true) => Operation::Delete,
            _ => Operation::Update,
        };
        Change {
            change_id: id,
            watch: "delivery".into(),
            entity_key: key.into(),
            operation,
            old_row: row(old),
            new_row: row(new),
            changed_at: Timestamp::UNIX_EPOCH + std::time::Duration::from_secs(id.unsigned_abs()),
            mute_reason: None,
            transaction_id: 1,
            hold_id: None,
        }
    }

    fn fold_all(changes: Vec<Change>) -> Folded {
        let key = ["id".to_owned()];
        fold(changes, &|_| Some(&key))
    }

    #[test]
    fn changes_of_one_entity_fold_from_the_first_old_row_to_the_last_new_row() {
        let folded = fold_all(vec![
            change(1, "7", json!({"id": 7, "a": 1}), json!({"id": 7, "a": 2})),
            change(2, "8", json!({"id": 8, "a": 1}), json!({"id": 8, "a": 5})),
            change(3, "7", json!({"id": 7, "a": 2}), json!({"id": 7, "a": 3})),
        ]);
        assert_eq!(folded.nets.len(), 2);
        let net = &folded.nets[0];
        assert_eq!(net.old_row, row(json!({"id": 7, "a": 1})));
        assert_eq!(net.new_row, row(json!({"id": 7, "a": 3})));
        assert_eq!((net.change_count, net.operation), (2, Operation::Update));
        assert!(net.first_changed_at < net.last_changed_at);
    }

    #[test]
    fn an_insert_and_a_delete_cancel_and_a_delete_and_an_insert_are_an_update() {
        let folded = fold_all(vec![
            change(1, "7", Value::Null, json!({"id": 7})),
            change(2, "7", json!({"id": 7}), Value::Null),
            change(3, "8", json!({"id": 8, "a": 1}), Value::Null),
            change(4, "8", Value::Null, json!({"id": 8, "a": 2})),
        ]);
        assert_eq!(folded.nets.len(), 1);
        assert_eq!(folded.nets[0].operation, Operation::Update);
    }

    #[test]
    fn a_new_primary_key_takes_its_earlier_changes_along() {
        let folded = fold_all(vec![
            change(1, "7", json!({"id": 7, "a": 1}), json!({"id": 7, "a": 2})),
            change(2, "7", json!({"id": 7, "a": 2}), json!({"id": 9, "a": 2})),
            change(3, "9", json!({"id": 9, "a": 2}), json!({"id": 9, "a": 3})),
        ]);
        assert_eq!(
            folded.renames,
            [Rename { watch: "delivery".into(), from: "7".into(), to: "9".into() }]
        );
        assert_eq!(folded.nets.len(), 1);
        assert_eq!(folded.nets[0].entity_key, "9");
        assert_eq!(folded.nets[0].old_row, row(json!({"id": 7, "a": 1})));
    }

    #[test]
    fn a_muted_change_stays_apart() {
        let mut muted = change(2, "7", json!({"id": 7, "b": 1}), json!({"id": 7, "b": 2}));
        muted.mute_reason = Some("import".into());
        let folded = fold_all(vec![
            change(1, "7", json!({"id": 7, "a": 1}), json!({"id": 7, "a": 2})),
            muted,
        ]);
        assert_eq!((folded.nets.len(), folded.muted.len()), (1, 1));
        assert_eq!(folded.muted[0].1, "import");
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
