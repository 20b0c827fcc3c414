//! A row of a watched table, as `to_jsonb` writes it.

use compact_str::CompactString;
use indexmap::IndexMap;
use serde_json::Value;

/// Columns by name, in their order. Holds the watched, key and recipient columns only.
///
/// Rows are made and copied often, each with the name of each column: up to 24 bytes a name needs no memory of its own.
pub type Row = IndexMap<CompactString, Value, foldhash::fast::RandomState>;

/// The row that has these values in these columns.
pub fn of(columns: &[String], values: impl IntoIterator<Item = Value>) -> Row {
    columns.iter().map(CompactString::from).zip(values).collect()
}

/// The row that a JSON object is; anything else is none.
pub fn of_json(value: Value) -> Option<Row> {
    match value {
        Value::Object(object) => {
            Some(object.into_iter().map(|(column, value)| (column.into(), value)).collect())
        }
        _ => None,
    }
}
