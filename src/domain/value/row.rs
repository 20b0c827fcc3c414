//! A row of a watched table, as `to_jsonb` writes it.

use serde_json::Value;

/// Columns by name. Holds the watched, key and recipient columns only.
pub type Row = serde_json::Map<String, Value>;
