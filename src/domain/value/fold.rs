//! Folds the captured changes of each entity into one net change.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::value::change::{Change, NetChange, Rename};
use crate::domain::value::versions::{FoldRules, by_transaction};

/// What a batch of changes comes down to.
#[derive(Debug, Default)]
pub struct Folded {
    /// One net change for each entity that still has one. An entity that was inserted and deleted
    /// again has none.
    pub nets: Vec<NetChange>,
    /// Muted changes by themselves, with their reason: they count as told.
    pub muted: Vec<(NetChange, String)>,
    /// In the order in which they were made; those of one list were made at once.
    pub renames: Vec<Vec<Rename>>,
}

/// Folds changes, given in order of capture, from transaction to transaction. A watch without rules has no rename
/// noticed, and what one transaction did stays in order of capture.
pub fn fold(changes: Vec<Change>, rules: &dyn Fn(&str) -> Option<Arc<FoldRules>>) -> Folded {
    let mut folded = Folded::default();
    let mut nets = OpenNets::default();
    for rows in by_transaction(changes, rules) {
        let renames: Vec<Rename> = rows
            .iter()
            .filter(|row| row.is_renamed())
            .map(|row| Rename {
                watch: row.net.watch.clone(),
                from: row.key_before.clone(),
                to: row.net.entity_key.clone(),
            })
            .collect();
        if !renames.is_empty() {
            nets.rename(&renames);
            folded.renames.push(renames);
        }
        for row in rows {
            match row.mute_reason {
                Some(reason) => folded.muted.push((row.net, reason)),
                None => nets.add(row.net),
            }
        }
    }
    folded.nets = nets.nets.into_iter().flatten().filter(|net| !net.came_and_went()).collect();
    folded
}

/// The net changes so far, by entity.
#[derive(Default)]
struct OpenNets {
    place: HashMap<(String, String), usize>,
    nets: Vec<Option<NetChange>>,
}

impl OpenNets {
    fn add(&mut self, net: NetChange) {
        let entity = (net.watch.clone(), net.entity_key.clone());
        match self.place.get(&entity).and_then(|at| self.nets[*at].as_mut()) {
            Some(earlier) => earlier.fold_in(net),
            None => {
                self.place.insert(entity, self.nets.len());
                self.nets.push(Some(net));
            }
        }
    }

    /// Rows take their earlier changes along to their new keys, all of them at once: two rows may swap their keys.
    fn rename(&mut self, renames: &[Rename]) {
        let moving: Vec<NetChange> = renames
            .iter()
            .filter_map(|rename| {
                let at = self.place.remove(&(rename.watch.clone(), rename.from.clone()))?;
                let net = self.nets[at].take()?;
                Some(NetChange { entity_key: rename.to.clone(), ..net })
            })
            .collect();
        // The row that had the key before is gone: its key went over.
        moving.into_iter().for_each(|net| self.add(net));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::change::Operation;
    use crate::domain::value::row::{self, Row};
    use jiff::Timestamp;
    use serde_json::{Value, json};
    use strum::VariantArray as _;

    fn row(value: Value) -> Option<Row> {
        row::of_json(value)
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
            changed_by: "shop (crm)".into(),
            mute_reason: None,
            transaction_id: 1,
            set_aside: None,
            table: None,
        }
    }

    fn fold_all(changes: Vec<Change>) -> Folded {
        let rules = FoldRules {
            key: vec!["id".to_owned()],
            watched: vec!["a".to_owned(), "b".to_owned()],
            on: Operation::VARIANTS.to_vec(),
            ..FoldRules::default()
        };
        fold(changes, &|_| Some(Arc::new(rules.clone())))
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
            [[Rename { watch: "delivery".into(), from: "7".into(), to: "9".into() }]]
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
}
