//! Which fields differ between two states of a row. Values are compared by what they mean: an
//! instant is an instant whatever the offset it is written with, 1.50 is 1.5, and a column that is
//! missing is null.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::row::Row;

/// What kind of values a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    TimestampTz,
    Timestamp,
    Date,
    Time,
    Number,
    Bool,
    Text,
    /// Compared by structure.
    Other,
}

impl Kind {
    /// The kind of a PostgreSQL type, as `format_type` writes it.
    pub fn of(type_name: &str) -> Kind {
        let base = type_name.split('(').next().unwrap_or(type_name).trim();
        match base {
            _ if type_name.ends_with("[]") => Kind::Other,
            "timestamp" if type_name.ends_with("with time zone") => Kind::TimestampTz,
            "timestamp with time zone" => Kind::TimestampTz,
            "timestamp" | "timestamp without time zone" => Kind::Timestamp,
            "date" => Kind::Date,
            "time" | "time without time zone" => Kind::Time,
            "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => {
                Kind::Number
            }
            "boolean" => Kind::Bool,
            "text" | "character varying" | "character" | "citext" | "uuid" | "name" => Kind::Text,
            _ => Kind::Other,
        }
    }
}

/// Kinds by column.
pub type Kinds = BTreeMap<String, Kind>;

/// One field that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    pub column: String,
    pub old: Value,
    pub new: Value,
}

/// The fields of `columns` that differ, in that order. A row that is not there has only nulls.
pub fn diff(
    old: Option<&Row>,
    new: Option<&Row>,
    columns: &[String],
    kinds: &Kinds,
) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    for column in columns {
        let before = field(old, column);
        let after = field(new, column);
        let kind = kinds.get(column).copied().unwrap_or(Kind::Other);
        if !same(kind, before, after) {
            changes.push(FieldChange {
                column: column.clone(),
                old: before.clone(),
                new: after.clone(),
            });
        }
    }
    changes
}

fn field<'a>(row: Option<&'a Row>, column: &str) -> &'a Value {
    row.and_then(|row| row.get(column)).unwrap_or(&Value::Null)
}

/// Whether two values of a column mean the same.
pub fn same(kind: Kind, a: &Value, b: &Value) -> bool {
    if a == b {
        return true;
    }
    match (kind, a, b) {
        (Kind::TimestampTz, Value::String(a), Value::String(b)) => {
            matches!((instant(a), instant(b)), (Some(a), Some(b)) if a == b)
        }
        (Kind::Number, a, b) => {
            matches!((number(a), number(b)), (Some(a), Some(b)) if a == b)
        }
        _ => false,
    }
}

/// The instant that `to_jsonb` wrote.
pub fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// A number without the zeros that mean nothing. Text, because a numeric can be longer than any
/// machine number.
fn number(value: &Value) -> Option<String> {
    let text: Cow<'_, str> = match value {
        Value::Number(number) => number.to_string().into(),
        Value::String(text) => text.as_str().into(),
        _ => return None,
    };
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", &*text), |rest| ("-", rest));
    let trimmed = if digits.contains(['e', 'E']) || !digits.contains('.') {
        digits
    } else {
        digits.trim_end_matches('0').trim_end_matches('.')
    };
    let sign = if trimmed == "0" { "" } else { sign };
    Some(format!("{sign}{trimmed}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_compared_by_what_they_mean() {
        let instant = (
            json!("2026-06-25T10:00:00+00:00"),
            json!("2026-06-25T12:00:00+02:00"),
        );
        assert!(same(Kind::TimestampTz, &instant.0, &instant.1));
        assert!(!same(Kind::Timestamp, &instant.0, &instant.1));
        assert!(same(Kind::Number, &json!(1.50), &json!(1.5)));
        assert!(same(Kind::Number, &json!(2), &json!(2.0)));
        assert!(same(Kind::Number, &json!(-0.0), &json!(0)));
        assert!(!same(Kind::Number, &json!(20), &json!(2)));
        assert!(same(
            Kind::Other,
            &json!({"a": 1, "b": [2]}),
            &json!({"b": [2], "a": 1})
        ));
        assert!(!same(Kind::Text, &json!(""), &Value::Null));
    }

    #[test]
    fn a_missing_column_is_null() {
        let old = json!({"id": 1, "note": null});
        let new = json!({"id": 1, "status": "late"});
        let columns = ["note".to_owned(), "status".to_owned()];
        let changes = diff(old.as_object(), new.as_object(), &columns, &Kinds::new());
        assert_eq!(
            changes,
            [FieldChange {
                column: "status".into(),
                old: Value::Null,
                new: json!("late")
            }]
        );
    }

    #[test]
    fn types_have_kinds() {
        assert_eq!(Kind::of("timestamp with time zone"), Kind::TimestampTz);
        assert_eq!(Kind::of("timestamp(3) with time zone"), Kind::TimestampTz);
        assert_eq!(Kind::of("timestamp(3) without time zone"), Kind::Timestamp);
        assert_eq!(Kind::of("numeric(10,2)"), Kind::Number);
        assert_eq!(Kind::of("integer[]"), Kind::Other);
        assert_eq!(Kind::of("character varying(20)"), Kind::Text);
    }
}
