//! Names of values: those that the configuration gives to codes, and those that a label query found
//! for the rows that foreign keys point to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::domain::text::localized_text::LocalizedText;
use crate::domain::value::column;
use crate::domain::value::row::Row;

/// Names by column and value.
pub type ByColumn = BTreeMap<String, BTreeMap<String, LocalizedText>>;

/// What the label queries of a watch found for the rows of a batch.
#[derive(Clone, Debug, Default)]
pub struct FoundNames {
    /// A column stands here even when nothing was found.
    pub names: ByColumn,
    /// Columns whose query failed: their values have names that nobody knows now.
    pub failed: BTreeSet<String>,
}

/// All names of values that a message may need.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// From the configuration.
    pub given: Arc<ByColumn>,
    /// Found by the label queries of the watch.
    pub found: Arc<FoundNames>,
}

impl Labels {
    pub fn is_empty(&self) -> bool {
        self.given.is_empty() && self.found.names.is_empty()
    }

    /// The name of a value of a column.
    pub fn of(&self, name: &str, value: &str, locale: &str, default: &str) -> Option<&str> {
        let given = self.given.get(name).and_then(|values| values.get(value));
        let found = || self.found.names.get(name).and_then(|values| values.get(value));
        given.or_else(found)?.for_locale(locale, default)
    }

    /// Whether values of the column are keys, which mean nothing to people.
    pub fn are_keys(&self, name: &str) -> bool {
        self.found.names.contains_key(name)
    }

    /// Whether the names of a column are not known now.
    pub fn have_failed(&self, name: &str) -> bool {
        self.found.failed.contains(name)
    }

    /// Whether a value is a key without a name, because the names of its column are not known now.
    pub fn is_nameless(&self, column: Option<&str>, value: &str, rows: &[Option<Row>; 2]) -> bool {
        match column {
            Some(column) => self.have_failed(column),
            None => self.found.failed.iter().any(|column| holds(rows, column, value)),
        }
    }

    /// The column that a value in a template comes from, as far as that can be told: one with names
    /// that holds this value now, or held it before.
    pub fn column_of(&self, value: &str, rows: &[Option<Row>; 2]) -> Option<&str> {
        let names = || self.given.iter().chain(self.found.names.iter());
        let knows =
            |(_, values): &(&String, &BTreeMap<String, LocalizedText>)| values.contains_key(value);
        let found = names().find(|named| knows(named) && holds(rows, named.0, value));
        found.or_else(|| self.given.iter().find(knows)).map(|(name, _)| name.as_str())
    }
}

fn holds(rows: &[Option<Row>; 2], name: &str, value: &str) -> bool {
    rows.iter().any(|row| text_of(column::value(row.as_ref(), name)).as_deref() == Some(value))
}

/// A value as names, rules and templates write it; None for null.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
