//! One watched column: what its values are, and what the watch says about comparing and showing
//! them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::value::column_kind::ColumnKind;
use crate::domain::value::row::Row;

/// `[watch.X.column.NAME]`: how values of a column are compared and shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRules {
    /// `"null"`: an empty text is the same as nothing.
    pub empty: Option<EmptyIs>,
    /// White space at both ends does not count.
    #[serde(default)]
    pub trim: bool,
    /// Upper and lower case are the same.
    #[serde(default)]
    pub ignore_case: bool,
    /// Differences below this are not told, and not shown: digits after the point, or `second`,
    /// `minute`, `hour`, `day`. Times have `minute` when nothing is said.
    pub precision: Option<Precision>,
    /// The values are amounts: a column with their currency, or its code, such as `EUR`.
    pub currency: Option<String>,
    /// The type of what stands at a path in a JSON column, such as `timestamptz`.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
}

/// What an empty text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmptyIs {
    Null,
}

/// The smallest difference that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected digits after the point, or second, minute, hour or day")]
pub enum Precision {
    /// Digits after the decimal point.
    Digits(u8),
    Time(TimeUnit),
}

/// A unit that times are cut to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    Second,
    Minute,
    Hour,
    Day,
}

/// Kind and rules of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub kind: ColumnKind,
    pub rules: ColumnRules,
}

/// Columns by name. A name such as `details.window` is a path into a JSON column.
pub type Columns = BTreeMap<String, Column>;

impl From<ColumnKind> for Column {
    fn from(kind: ColumnKind) -> Column {
        Column { kind, rules: ColumnRules::default() }
    }
}

impl Column {
    /// The unit that times of the column are told to.
    pub fn time_unit(&self) -> TimeUnit {
        match self.rules.precision {
            Some(Precision::Time(unit)) => unit,
            _ => TimeUnit::Minute,
        }
    }

    /// The digits after the point that numbers of the column are told with, if that is fixed.
    pub fn digits(&self) -> Option<u8> {
        match self.rules.precision {
            Some(Precision::Digits(digits)) => Some(digits),
            _ => None,
        }
    }

    /// The currency of the amount in a row.
    pub fn currency<'a>(&'a self, row: Option<&'a Row>) -> Option<&'a str> {
        let named = self.rules.currency.as_deref()?;
        match row.and_then(|row| row.get(named)) {
            Some(Value::String(code)) => Some(code.trim()),
            Some(_) => None,
            None => is_currency_code(named).then_some(named),
        }
    }
}

/// Whether a text is a code such as `EUR`.
pub fn is_currency_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The watched columns of a watch: those of the table, and paths into its JSON columns.
pub fn columns(
    kinds: BTreeMap<String, ColumnKind>,
    watched: &[String],
    rules: &BTreeMap<String, ColumnRules>,
) -> Columns {
    let mut columns: Columns =
        kinds.into_iter().map(|(name, kind)| (name, Column::from(kind))).collect();
    for name in watched {
        columns.entry(name.clone()).or_insert_with(|| Column::from(ColumnKind::Json));
    }
    for (name, rules) in rules {
        if let Some(column) = columns.get_mut(name) {
            if let Some(type_name) = &rules.type_name {
                column.kind = ColumnKind::of(long_name(type_name));
            }
            column.rules = rules.clone();
        }
    }
    columns
}

/// The name that `format_type` writes for the short ones.
fn long_name(name: &str) -> &str {
    match name {
        "timestamptz" => "timestamp with time zone",
        "bool" => "boolean",
        "int" | "int4" | "int8" => "integer",
        other => other,
    }
}

/// The column of the table that a name begins with: itself, or what stands before the first dot.
pub fn base(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// The value of a column, or at a path into a JSON column. What is not there is null.
pub fn value<'a>(row: Option<&'a Row>, name: &str) -> &'a Value {
    let Some(row) = row else { return &Value::Null };
    if let Some(value) = row.get(name) {
        return value;
    }
    let mut parts = name.split('.');
    let mut here = parts.next().and_then(|base| row.get(base));
    for part in parts {
        here = match here {
            Some(Value::Object(fields)) => fields.get(part),
            Some(Value::Array(items)) => part.parse::<usize>().ok().and_then(|i| items.get(i)),
            _ => None,
        };
    }
    here.unwrap_or(&Value::Null)
}

/// A text as the column's rules see it; None where it is the same as nothing.
pub fn normal<'a>(text: &'a str, column: &Column) -> Option<Cow<'a, str>> {
    let rules = &column.rules;
    let text = match (&column.kind, rules.trim) {
        (_, true) => text.trim(),
        (ColumnKind::Padded, false) => text.trim_end_matches(' '),
        _ => text,
    };
    if text.is_empty() && rules.empty == Some(EmptyIs::Null) {
        return None;
    }
    let caseless = rules.ignore_case || column.kind == ColumnKind::Caseless;
    Some(if caseless { text.to_lowercase().into() } else { text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::row;
    use serde_json::json;

    #[test]
    fn a_path_leads_into_a_json_column_unless_a_column_has_that_name() {
        let row = json!({"details": {"window": {"from": "10:00"}, "tags": ["a", "b"]}, "a.b": 1});
        let row = row::of_json(row);
        let row = row.as_ref();
        assert_eq!(value(row, "details.window.from"), &json!("10:00"));
        assert_eq!(value(row, "details.tags.1"), &json!("b"));
        assert_eq!(value(row, "details.gone.from"), &Value::Null);
        assert_eq!(value(row, "a.b"), &json!(1));
        assert_eq!(value(None, "details"), &Value::Null);
    }

    #[test]
    fn the_currency_stands_in_the_row_or_in_the_rules() {
        let column = |named: &str| Column {
            kind: ColumnKind::Number { scale: Some(2) },
            rules: ColumnRules { currency: Some(named.into()), ..ColumnRules::default() },
        };
        let row = row::of_json(json!({"currency": "USD"}));
        assert_eq!(column("currency").currency(row.as_ref()), Some("USD"));
        assert_eq!(column("EUR").currency(row.as_ref()), Some("EUR"));
        assert_eq!(column("valuta").currency(row.as_ref()), None);
    }
}
