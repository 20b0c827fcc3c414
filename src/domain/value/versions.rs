//! Puts together what one transaction did to one row.
//!
//! Changes are captured in the order in which triggers fire, which need not be the order of the row's versions: a
//! trigger of the business that fires before ours may change the row again, and that second change is captured first.
//! So the versions are chained: the first old row is the one that no other change of the transaction produced, the last
//! new row the one that none replaced. Every change of a watched column is captured, so a chain by key and watched
//! columns has no gap. A transaction that leaves a row as it found it made no change.
//!
//! For PostgreSQL, a row that moves to another partition is deleted and inserted; here it is one change.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::domain::value::change::{Change, NetChange, Operation, entity_key};
use crate::domain::value::column;
use crate::domain::value::row::Row;

/// What of a watch decides how its changes are put together.
#[derive(Clone, Debug, Default)]
pub struct FoldRules {
    pub key: Vec<String>,
    /// Columns that decide in which partition a row lies.
    pub partitioned_by: Vec<String>,
    pub watched: Vec<String>,
    /// What the watch tells. More is captured where rows may move between partitions.
    pub on: Vec<Operation>,
}

/// What one transaction did to one row.
#[derive(Clone, Debug)]
pub struct RowChange {
    /// The key before; the one after stands in the net change.
    pub key_before: String,
    pub net: NetChange,
    pub mute_reason: Option<String>,
}

impl RowChange {
    fn of(change: Change) -> RowChange {
        RowChange {
            key_before: change.entity_key.clone(),
            mute_reason: change.mute_reason,
            net: NetChange {
                watch: change.watch,
                entity_key: change.entity_key,
                operation: change.operation,
                old_row: change.old_row,
                new_row: change.new_row,
                change_count: 1,
                first_changed_at: change.changed_at,
                last_changed_at: change.changed_at,
                changed_by: vec![change.changed_by],
                set_aside: change.set_aside,
            },
        }
    }

    /// The only change of its row.
    fn alone(change: Change, rules: &FoldRules) -> RowChange {
        let mut row = RowChange::of(change);
        if let Some(key) = row.net.new_row.as_ref().and_then(|row| entity_key(row, &rules.key)) {
            row.net.entity_key = key;
        }
        row
    }

    /// The row was given another primary key.
    pub fn is_renamed(&self) -> bool {
        self.net.operation == Operation::Update && self.key_before != self.net.entity_key
    }
}

/// Changes without what their watches do not tell, which was captured for the sake of rows that move to another
/// partition: their delete and insert are one change.
pub fn without_moves(
    changes: Vec<Change>,
    rules: &dyn Fn(&str) -> Option<Arc<FoldRules>>,
) -> Vec<Change> {
    let mut leaving: HashMap<String, usize> = HashMap::new();
    let mut left: Vec<Change> = Vec::with_capacity(changes.len());
    for change in changes {
        let Some(rules) = rules(&change.watch).filter(|rules| !rules.partitioned_by.is_empty())
        else {
            left.push(change);
            continue;
        };
        match change.operation {
            Operation::Delete => {
                leaving.insert(identity(&change, change.old_row.as_ref(), &rules), left.len());
                left.push(change);
            }
            Operation::Insert => {
                let place = leaving.remove(&identity(&change, change.new_row.as_ref(), &rules));
                match place.and_then(|place| left.get_mut(place)) {
                    Some(delete) => {
                        delete.operation = Operation::Update;
                        delete.new_row = change.new_row;
                    }
                    None => left.push(change),
                }
            }
            Operation::Update | Operation::Withdrawn => left.push(change),
        }
    }
    left.retain(|change| {
        rules(&change.watch).is_none_or(|rules| rules.on.contains(&change.operation))
    });
    left
}

/// What a row keeps in another partition.
fn identity(change: &Change, row: Option<&Row>, rules: &FoldRules) -> String {
    let kept = rules.key.iter().filter(|name| !rules.partitioned_by.contains(name));
    let values: Vec<&Value> = kept.map(|name| column::value(row, name)).collect();
    serde_json::json!([change.transaction_id, change.watch, change.mute_reason, values]).to_string()
}

/// Changes in order of capture, put together by transaction and row. Each list is of one transaction and one watch;
/// what it does to several rows happens at once.
pub fn by_transaction(
    changes: Vec<Change>,
    rules: &dyn Fn(&str) -> Option<Arc<FoldRules>>,
) -> Vec<Vec<RowChange>> {
    let mut places: HashMap<(i64, String, Option<String>), usize> = HashMap::new();
    let mut groups: Vec<Vec<Change>> = Vec::new();
    for change in changes {
        let group = (change.transaction_id, change.watch.clone(), change.mute_reason.clone());
        let place = *places.entry(group).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(change),
            None => groups.push(vec![change]),
        }
    }
    groups
        .into_iter()
        .map(|changes| match changes.first().and_then(|change| rules(&change.watch)) {
            Some(rules) => chained(changes, &rules),
            None => changes.into_iter().map(RowChange::of).collect(),
        })
        .collect()
}

/// One change of each row: from its first version to its last.
fn chained(changes: Vec<Change>, rules: &FoldRules) -> Vec<RowChange> {
    if are_apart(&changes, rules) {
        return changes.into_iter().map(|change| RowChange::alone(change, rules)).collect();
    }
    let chains = chains(&changes, rules);
    let mut changes: Vec<Option<Change>> = changes.into_iter().map(Some).collect();
    let joined = chains.iter().filter_map(|chain| joined(chain, &mut changes, rules));
    joined.collect()
}

/// Whether no two changes are of one row. Most transactions change a row once, and a bulk edit each of many.
fn are_apart(changes: &[Change], rules: &FoldRules) -> bool {
    let mut keys: HashSet<String> = HashSet::with_capacity(changes.len());
    changes.iter().all(|change| {
        let after = change.new_row.as_ref().and_then(|row| entity_key(row, &rules.key));
        let is_moved = after.as_ref().is_some_and(|after| *after != change.entity_key);
        keys.insert(change.entity_key.clone())
            && (!is_moved || after.is_some_and(|key| keys.insert(key)))
    })
}

/// The changes of a chain as one. None: the row is as it was before.
fn joined(chain: &Chain, changes: &mut [Option<Change>], rules: &FoldRules) -> Option<RowChange> {
    let (first, last) = chain.ends()?;
    let mut new_row = None;
    let mut key_after = None;
    if first != last {
        let last = changes.get_mut(last)?.as_mut()?;
        new_row = last.new_row.take();
        key_after = Some(last.entity_key.clone());
    }
    let whole = RowChange::of(changes.get_mut(first)?.take()?);
    let others = chain.links.iter().filter_map(|link| changes.get_mut(link.place)?.take());
    let mut whole = others.fold(whole, |mut whole, other| {
        let net = &mut whole.net;
        net.change_count += 1;
        net.first_changed_at = net.first_changed_at.min(other.changed_at);
        net.last_changed_at = net.last_changed_at.max(other.changed_at);
        whole
    });
    let net = &mut whole.net;
    if let Some(key_after) = key_after {
        net.new_row = new_row;
        net.operation = Operation::between(net.old_row.as_ref(), net.new_row.as_ref());
        net.entity_key = key_after;
    }
    // A row that is gone is known by the key that it had before.
    match &net.new_row {
        Some(row) => net.entity_key = entity_key(row, &rules.key).unwrap_or(net.entity_key.clone()),
        None if net.old_row.is_some() => net.entity_key.clone_from(&whole.key_before),
        None => {}
    }
    Some(whole)
}

/// A change as two versions of its row.
#[derive(Clone, Copy, Debug)]
struct Link {
    place: usize,
    before: usize,
    after: usize,
}

/// Changes that are connected by their versions, in order of capture.
#[derive(Debug)]
struct Chain {
    links: Vec<Link>,
}

fn chains(changes: &[Change], rules: &FoldRules) -> Vec<Chain> {
    let mut versions: HashMap<String, usize> = HashMap::new();
    let mut number = |version: String| {
        let next = versions.len();
        *versions.entry(version).or_insert(next)
    };
    let links: Vec<Link> = changes
        .iter()
        .enumerate()
        .map(|(place, change)| {
            let before = number(version(change, change.old_row.as_ref(), rules));
            let after = number(version(change, change.new_row.as_ref(), rules));
            Link { place, before, after }
        })
        .collect();
    let mut root: Vec<usize> = (0..versions.len()).collect();
    for link in &links {
        let (one, other) = (root_of(&root, link.before), root_of(&root, link.after));
        root[one] = other;
    }
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut chains: Vec<Chain> = Vec::new();
    for link in links {
        let place = *places.entry(root_of(&root, link.before)).or_insert(chains.len());
        match chains.get_mut(place) {
            Some(chain) => chain.links.push(link),
            None => chains.push(Chain { links: vec![link] }),
        }
    }
    chains
}

fn root_of(root: &[usize], mut version: usize) -> usize {
    while root[version] != version {
        version = root[version];
    }
    version
}

/// Key and watched columns of a row; or that there is none.
fn version(change: &Change, row: Option<&Row>, rules: &FoldRules) -> String {
    let other = || change.old_row.as_ref().or(change.new_row.as_ref());
    let key = row.or_else(other).and_then(|row| entity_key(row, &rules.key));
    let key = key.as_deref().unwrap_or(&change.entity_key);
    let values = row.map(|_| {
        rules.watched.iter().map(|name| column::value(row, name).clone()).collect::<Vec<Value>>()
    });
    serde_json::json!([key, values]).to_string()
}

impl Chain {
    /// The places of the changes with the first and the last version. None: the row is as it was before.
    fn ends(&self) -> Option<(usize, usize)> {
        let (captured_first, captured_last) = (self.links.first()?, self.links.last()?);
        let in_order = Some((captured_first.place, captured_last.place));
        if self.links.len() == 1 {
            return in_order;
        }
        let mut more_left: HashMap<usize, i32> = HashMap::new();
        for link in &self.links {
            *more_left.entry(link.before).or_default() += 1;
            *more_left.entry(link.after).or_default() -= 1;
        }
        let of = |count: i32| {
            let mut found = more_left.iter().filter(move |(_, n)| **n == count).map(|(v, _)| *v);
            (found.next(), found.next())
        };
        if more_left.values().all(|count| *count == 0) {
            return None;
        }
        let ((Some(start), None), (Some(end), None)) = (of(1), of(-1)) else { return in_order };
        let first = self.links.iter().find(|link| link.before == start)?;
        let last = self.links.iter().rfind(|link| link.after == end)?;
        Some((first.place, last.place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::row;
    use jiff::Timestamp;
    use serde_json::json;

    /// A change of a row with key `id` and watched column `a`; null is no row.
    fn change(old: Value, new: Value) -> Change {
        let row = |value: &Value| row::of_json(value.clone());
        let (old_row, new_row) = (row(&old), row(&new));
        let key =
            entity_key(old_row.as_ref().or(new_row.as_ref()).unwrap_or(&Row::default()), &key());
        Change {
            change_id: 0,
            watch: "delivery".into(),
            entity_key: key.unwrap_or_default(),
            operation: Operation::between(old_row.as_ref(), new_row.as_ref()),
            old_row,
            new_row,
            changed_at: Timestamp::UNIX_EPOCH,
            changed_by: "shop (crm)".into(),
            mute_reason: None,
            transaction_id: 1,
            set_aside: None,
            table: None,
        }
    }

    fn key() -> Vec<String> {
        vec!["id".to_owned()]
    }

    fn row(id: i64, a: &str) -> Value {
        json!({"id": id, "a": a})
    }

    /// `key: old → new`, as put together.
    fn together(changes: Vec<Change>, rules: &FoldRules) -> Vec<String> {
        let show = |row: &Option<Row>| {
            row.as_ref().map_or("none".into(), |row| column::value(Some(row), "a").to_string())
        };
        let rules = |_: &str| Some(Arc::new(rules.clone()));
        by_transaction(without_moves(changes, &rules), &rules)
            .into_iter()
            .flatten()
            .map(|row| {
                let net = &row.net;
                let (old, new) = (show(&net.old_row), show(&net.new_row));
                format!(
                    "{}>{}: {old} → {new} ({})",
                    row.key_before, net.entity_key, net.change_count
                )
            })
            .collect()
    }

    fn rules() -> FoldRules {
        FoldRules {
            key: key(),
            partitioned_by: Vec::new(),
            watched: vec!["a".to_owned()],
            on: vec![Operation::Insert, Operation::Update, Operation::Delete],
        }
    }

    #[test]
    fn a_change_that_was_captured_before_its_cause_comes_after_it() {
        let nested = [
            vec![change(row(7, "b"), row(7, "c")), change(row(7, "a"), row(7, "b"))],
            vec![
                change(row(7, "c"), row(7, "d")),
                change(row(7, "b"), row(7, "c")),
                change(row(7, "a"), row(7, "b")),
            ],
        ];
        assert_eq!(together(nested[0].clone(), &rules()), [r#"7>7: "a" → "c" (2)"#]);
        assert_eq!(together(nested[1].clone(), &rules()), [r#"7>7: "a" → "d" (3)"#]);
        let inserted = vec![change(row(7, "a"), row(7, "b")), change(Value::Null, row(7, "a"))];
        assert_eq!(together(inserted, &rules()), [r#"7>7: none → "b" (2)"#]);
        let deleted = vec![change(row(7, "b"), Value::Null), change(row(7, "a"), row(7, "b"))];
        assert_eq!(together(deleted, &rules()), [r#"7>7: "a" → none (2)"#]);
    }

    #[test]
    fn a_row_that_a_transaction_leaves_as_it_was_is_not_changed() {
        let back = vec![change(row(7, "b"), row(7, "a")), change(row(7, "a"), row(7, "b"))];
        assert!(together(back, &rules()).is_empty());
        let gone = vec![change(row(7, "a"), Value::Null), change(Value::Null, row(7, "a"))];
        assert!(together(gone, &rules()).is_empty());
        let twice = vec![
            change(row(7, "a"), row(7, "b")),
            change(row(7, "b"), row(7, "a")),
            change(row(7, "a"), row(7, "c")),
        ];
        assert_eq!(together(twice, &rules()), [r#"7>7: "a" → "c" (3)"#]);
    }

    #[test]
    fn a_row_is_followed_to_its_new_key_even_when_two_rows_swap_theirs() {
        let swapped = vec![change(row(17, "a"), row(20, "x")), change(row(20, "b"), row(17, "y"))];
        assert_eq!(
            together(swapped, &rules()),
            [r#"17>20: "a" → "x" (1)"#, r#"20>17: "b" → "y" (1)"#]
        );
        let nested = vec![change(row(9, "b"), row(9, "c")), change(row(7, "a"), row(9, "b"))];
        assert_eq!(together(nested, &rules()), [r#"7>9: "a" → "c" (2)"#]);
        let gone = vec![change(row(7, "a"), row(9, "a")), change(row(9, "a"), Value::Null)];
        assert_eq!(together(gone, &rules()), [r#"7>7: "a" → none (2)"#]);
    }

    #[test]
    fn a_row_that_moves_to_another_partition_is_one_change() {
        let rules = FoldRules {
            key: vec!["id".to_owned(), "a".to_owned()],
            partitioned_by: vec!["a".to_owned()],
            on: vec![Operation::Update],
            ..rules()
        };
        let mut moved = vec![
            change(row(7, "a"), Value::Null),
            change(Value::Null, row(7, "b")),
            change(row(8, "a"), Value::Null),
            change(Value::Null, row(9, "b")),
        ];
        for change in &mut moved {
            let row =
                change.old_row.as_ref().or(change.new_row.as_ref()).cloned().unwrap_or_default();
            change.entity_key = entity_key(&row, &rules.key).unwrap_or_default();
        }
        assert_eq!(together(moved, &rules), [r#"7,a>7,b: "a" → "b" (1)"#]);
    }

    #[test]
    fn what_does_not_fit_together_stays_in_order_of_capture() {
        let gap = vec![change(row(7, "a"), row(7, "b")), change(row(7, "c"), row(7, "d"))];
        assert_eq!(together(gap, &rules()), [r#"7>7: "a" → "b" (1)"#, r#"7>7: "c" → "d" (1)"#]);
    }
}
