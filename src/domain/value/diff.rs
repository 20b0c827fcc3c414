//! Which fields differ between two states of a row. Values are compared by what they mean, as far
//! as it is told: see comparison. A column that is missing is null.

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::domain::value::column::{self, Column, Columns};
pub use crate::domain::value::column_kind::{ColumnKind, ColumnKinds};
use crate::domain::value::comparison::{ComparableValue, comparable};
use crate::domain::value::row::Row;

/// One field that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    pub column: String,
    pub old: Value,
    pub new: Value,
}

/// The fields of `names` that differ to somebody in `zone`, in that order. A row that is not there
/// has only nulls; a name may be a path into a JSON column.
pub fn diff(
    old: Option<&Row>,
    new: Option<&Row>,
    names: &[String],
    columns: &Columns,
    zone: &TimeZone,
) -> Vec<FieldChange> {
    let other = Column::from(ColumnKind::Other);
    let mut changes = Vec::new();
    for name in names {
        let column = columns.get(name).unwrap_or(&other);
        let (before, after) = (column::value(old, name), column::value(new, name));
        let money = (column.currency(old), column.currency(new));
        if before == after && money.0 == money.1 {
            continue;
        }
        let meant = |value, currency| amount(comparable(column, value, zone), currency);
        if meant(before, money.0) != meant(after, money.1) {
            changes.push(FieldChange {
                column: name.clone(),
                old: before.clone(),
                new: after.clone(),
            });
        }
    }
    changes
}

/// Ten euros are not ten dollars.
fn amount(value: ComparableValue, currency: Option<&str>) -> ComparableValue {
    match (value, currency) {
        (ComparableValue::Nothing, _) => ComparableValue::Nothing,
        (value, Some(currency)) => ComparableValue::Amount(Box::new(value), currency.to_owned()),
        (value, None) => value,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain::value::column::ColumnRules;
    use crate::domain::value::row;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn row(value: &Value) -> Option<Row> {
        row::of_json(value.clone())
    }

    fn rules(toml: &str) -> ColumnRules {
        toml::from_str(toml).unwrap()
    }

    fn same_by(type_name: &str, toml: &str, a: Value, b: Value) -> bool {
        let columns = BTreeMap::from([(
            "c".to_owned(),
            Column { kind: ColumnKind::of(type_name), rules: rules(toml) },
        )]);
        let (old, new) = (json!({ "c": a }), json!({ "c": b }));
        let zone = TimeZone::get("America/New_York").unwrap();
        diff(row(&old).as_ref(), row(&new).as_ref(), &["c".to_owned()], &columns, &zone).is_empty()
    }

    fn same(type_name: &str, a: Value, b: Value) -> bool {
        same_by(type_name, "", a, b)
    }

    #[test]
    fn moments_are_compared_as_they_are_told() {
        let (here, there) =
            (json!("2026-06-25T10:00:00+00:00"), json!("2026-06-25T12:00:00+02:00"));
        let tz = "timestamp with time zone";
        assert!(same(tz, here.clone(), there.clone()));
        assert!(
            same(tz, here.clone(), json!("2026-06-25T10:00:59.999+00:00")),
            "told to the minute"
        );
        assert!(!same(tz, here.clone(), json!("2026-06-25T10:01:00+00:00")));
        assert!(!same_by(
            tz,
            "precision = 'second'",
            here.clone(),
            json!("2026-06-25T10:00:01+00:00")
        ));
        assert!(same_by(
            tz,
            "precision = 'hour'",
            here.clone(),
            json!("2026-06-25T10:59:00+00:00")
        ));
        assert!(!same("timestamp without time zone", here, there));
        // The 25th in New York, although two days in UTC.
        let evening = (json!("2026-06-25T23:00:00+00:00"), json!("2026-06-26T03:59:00+00:00"));
        assert!(same_by(tz, "precision = 'day'", evening.0.clone(), evening.1));
        assert!(!same_by(tz, "precision = 'day'", evening.0, json!("2026-06-26T04:00:00+00:00")));
        // Half past one comes twice in the night when clocks are set back.
        let twice = (json!("2026-11-01T05:30:00+00:00"), json!("2026-11-01T06:30:00+00:00"));
        assert!(!same_by(tz, "precision = 'hour'", twice.0, twice.1));
        assert!(same("time without time zone", json!("10:00:00"), json!("10:00:30")));
        assert!(!same("time with time zone", json!("10:00:00+00"), json!("10:00:00+02")));
        assert!(same("date", json!("2026-06-25"), json!("2026-06-25")));
        assert!(same("interval", json!("1 day"), json!("24:00:00")));
    }

    /// bendsql PR 797: "for ever" is the last second of the year 9999, which is another year in Berlin.
    #[test]
    fn moments_beyond_the_calendar_are_compared_whatever_the_offset() {
        let same = |a: &str, b: &str| same("timestamp with time zone", json!(a), json!(b));
        assert!(same("9999-12-31T23:59:59+00:00", "10000-01-01T00:59:59+01:00"));
        assert!(same("20000-02-29T00:00:00+00:00", "20000-02-28T19:00:00-05:00"));
        assert!(same("0044-03-15T12:00:00+00:00 BC", "0044-03-15T12:53:28+00:53:28 BC"));
        assert!(same("0001-01-01T00:00:00+00:00", "0001-12-31T23:00:00-01:00 BC"));
        assert!(!same("9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59+01:00"));
        assert!(!same("0044-03-15T12:00:00+00:00 BC", "0044-03-15T12:00:00+00:00"));
    }

    #[test]
    fn numbers_are_compared_by_value() {
        assert!(same("numeric(10,2)", json!(1.50), json!(1.5)));
        assert!(same("integer", json!(2), json!(2.0)));
        assert!(same("numeric", json!(-0.0), json!(0)));
        assert!(!same("integer", json!(20), json!(2)));
        assert!(same("numeric", json!("12345678901234567890.10"), json!("12345678901234567890.1")));
        assert!(!same(
            "numeric",
            json!("12345678901234567890.12"),
            json!("12345678901234567890.13")
        ));
        assert!(same("double precision", json!(1e20), json!("100000000000000000000")));
        assert!(same_by("numeric", "precision = 2", json!(2.34159), json!(2.3401)));
        assert!(!same_by("numeric", "precision = 2", json!(2.34), json!(2.35)));
        assert!(!same("numeric", json!("NaN"), json!(0)));
        assert!(same("money", json!("$1,234.50"), json!("1.234,50 €")));
    }

    #[test]
    fn ten_dollars_are_not_ten_euros() {
        let column =
            Column { kind: ColumnKind::of("numeric(10,2)"), rules: rules("currency = 'valuta'") };
        let columns = BTreeMap::from([("fee".to_owned(), column)]);
        let paid = |fee: Value, valuta: Value| json!({"fee": fee, "valuta": valuta});
        let count = |a: Value, b: Value| {
            diff(row(&a).as_ref(), row(&b).as_ref(), &["fee".to_owned()], &columns, &TimeZone::UTC)
                .len()
        };
        assert_eq!(count(paid(json!(10), json!("USD")), paid(json!(10.0), json!("USD "))), 0);
        assert_eq!(count(paid(json!(10), json!("USD")), paid(json!(10), json!("EUR"))), 1);
        assert_eq!(count(paid(Value::Null, json!("USD")), paid(Value::Null, json!("EUR"))), 0);
    }

    #[test]
    fn texts_are_compared_as_the_watch_says() {
        assert!(!same("text", json!(""), Value::Null));
        assert!(same_by("text", "empty = 'null'", json!(""), Value::Null));
        assert!(!same_by("text", "empty = 'null'", json!("  "), Value::Null));
        assert!(same_by("text", "empty = 'null'\ntrim = true", json!("  "), Value::Null));
        assert!(same_by("text", "trim = true", json!(" a\n"), json!("a")));
        assert!(same_by("text", "ignore_case = true", json!("ÉCOLE"), json!("école")));
        assert!(!same("text", json!("A"), json!("a")));
        assert!(same("citext", json!("A"), json!("a")));
        assert!(same("character(3)", json!("a  "), json!("a")));
        assert!(!same("enum", json!("late"), json!("early")));
        assert!(!same("boolean", json!(true), json!(false)));
    }

    #[test]
    fn ranges_are_compared_by_their_bounds() {
        let utc = json!(r#"["2026-06-25 10:00:00+00","2026-06-25 12:00:00+00")"#);
        let berlin = json!(r#"["2026-06-25 12:00:00+02","2026-06-25 14:00:00+02")"#);
        assert!(same("tstzrange", utc.clone(), berlin));
        assert!(same(
            "tstzrange",
            utc.clone(),
            json!(r#"["2026-06-25 10:00:00+00","2026-06-25 12:00:00+00"]"#)
        ));
        assert!(!same(
            "tstzrange",
            utc.clone(),
            json!(r#"["2026-06-25 10:00:00+00","2026-06-25 12:30:00+00")"#)
        ));
        assert!(!same("tstzrange", utc.clone(), json!(r#"["2026-06-25 10:00:00+00",)"#)));
        assert!(!same("tstzrange", utc, json!("empty")));
        assert!(same(
            "daterange",
            json!("[2026-06-25,2026-06-28)"),
            json!("[2026-06-25,2026-06-27]")
        ));
        assert!(!same(
            "daterange",
            json!("[2026-06-25,2026-06-28)"),
            json!("[2026-06-25,2026-06-28]")
        ));
        assert!(same("tstzrange", json!("(,infinity)"), json!("(,)")));
        assert!(same("nummultirange", json!("{[1.0,2),[3,4)}"), json!("{[1,2.00),[3,4)}")));
    }

    #[test]
    fn lists_and_json_are_compared_by_structure_and_value() {
        assert!(same("jsonb", json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1})));
        assert!(!same("jsonb", json!({"a": 1}), json!({"a": "1"})));
        assert!(!same("text[]", json!(["a", "b"]), json!(["b", "a"])));
        assert!(same(
            "timestamp with time zone[]",
            json!(["2026-06-25T10:00:00+00:00"]),
            json!(["2026-06-25T12:00:00+02:00"])
        ));
        let columns = crate::domain::value::column::columns(
            BTreeMap::from([("details".to_owned(), ColumnKind::Json)]),
            &["details.at".to_owned()],
            &BTreeMap::from([("details.at".to_owned(), rules("type = 'timestamptz'"))]),
        );
        let at = |at: &str| json!({"details": {"at": at, "etag": at}});
        let count = |a: Value, b: Value| {
            let names = ["details.at".to_owned()];
            diff(row(&a).as_ref(), row(&b).as_ref(), &names, &columns, &TimeZone::UTC).len()
        };
        assert_eq!(count(at("2026-06-25T10:00Z"), at("2026-06-25T12:00+02:00")), 0);
        assert_eq!(count(at("2026-06-25T10:00Z"), at("2026-06-25T12:00Z")), 1);
    }

    #[test]
    fn a_missing_column_is_null() {
        let old = json!({"id": 1, "note": null});
        let new = json!({"id": 1, "status": "late"});
        let columns = ["note".to_owned(), "status".to_owned()];
        let changes =
            diff(row(&old).as_ref(), row(&new).as_ref(), &columns, &Columns::new(), &TimeZone::UTC);
        assert_eq!(
            changes,
            [FieldChange { column: "status".into(), old: Value::Null, new: json!("late") }]
        );
    }
}
