//! The tree of settings that the layers make, and the steps to one of them.

pub use ::config::{Value, ValueKind};

pub type Table = ::config::Map<String, Value>;

/// One step from a setting to one in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathSegment {
    Key(String),
    Index(usize),
}

/// `a.b[0].c`
pub fn key_of(path: &[PathSegment]) -> String {
    path.iter().fold(String::new(), |key, step| match step {
        PathSegment::Key(name) => below(&key, name),
        PathSegment::Index(index) => format!("{key}[{index}]"),
    })
}

/// The key of a setting in a section; the root has an empty one.
pub fn below(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

pub fn table(value: &Value) -> Option<&Table> {
    match &value.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}

pub fn text(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

/// The settings of a table in the order of their names: the crate's map has none.
pub fn sorted(table: &Table) -> Vec<(&String, &Value)> {
    let mut settings: Vec<_> = table.iter().collect();
    settings.sort_by_key(|(name, _)| *name);
    settings
}

pub fn at<'a>(tree: &'a Value, path: &[PathSegment]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |here, step| match (&here.kind, step) {
        (ValueKind::Table(table), PathSegment::Key(name)) => table.get(name),
        (ValueKind::Array(items), PathSegment::Index(index)) => items.get(*index),
        _ => None,
    })
}

fn at_mut<'a>(tree: &'a mut Value, path: &[PathSegment]) -> Option<&'a mut Value> {
    path.iter().try_fold(tree, |here, step| match (&mut here.kind, step) {
        (ValueKind::Table(table), PathSegment::Key(name)) => table.get_mut(name),
        (ValueKind::Array(items), PathSegment::Index(index)) => items.get_mut(*index),
        _ => None,
    })
}

/// Puts a setting in its place, or takes it away; false: it has no place.
pub fn set(tree: &mut Value, path: &[PathSegment], setting: Option<Value>) -> bool {
    let Some((last, above)) = path.split_last() else { return false };
    match (at_mut(tree, above).map(|above| &mut above.kind), last, setting) {
        (Some(ValueKind::Table(table)), PathSegment::Key(name), Some(setting)) => {
            table.insert(name.clone(), setting);
            true
        }
        (Some(ValueKind::Table(table)), PathSegment::Key(name), None) => {
            table.remove(name).is_some()
        }
        (Some(ValueKind::Array(items)), PathSegment::Index(index), _) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}
