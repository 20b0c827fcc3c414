//! What kind of values a column holds, told from its PostgreSQL type.

use std::collections::BTreeMap;

/// The kind of a column's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// An instant.
    TimestampTz,
    /// Date and time on a wall that the row does not name.
    Timestamp,
    Date,
    /// Time of day, with or without an offset.
    Time,
    Interval,
    /// A number; with the digits after the point that its type fixes.
    Number {
        scale: Option<u8>,
    },
    /// `money`: an amount that PostgreSQL writes with the currency sign of the session.
    Money,
    Bool,
    Text,
    /// Text in which case does not count (`citext`).
    Caseless,
    /// Text in which blanks at the end do not count (`character(n)`).
    Padded,
    /// `json` and `jsonb`: compared by structure, numbers by value.
    Json,
    List(Box<ColumnKind>),
    Range(Box<ColumnKind>),
    MultiRange(Box<ColumnKind>),
    /// Compared as it is written.
    Other,
}

/// Kinds by column.
pub type ColumnKinds = BTreeMap<String, ColumnKind>;

/// The ranges that PostgreSQL brings along.
const RANGES: [(&str, ColumnKind); 6] = [
    ("tstz", ColumnKind::TimestampTz),
    ("ts", ColumnKind::Timestamp),
    ("date", ColumnKind::Date),
    ("int4", ColumnKind::Number { scale: Some(0) }),
    ("int8", ColumnKind::Number { scale: Some(0) }),
    ("num", ColumnKind::Number { scale: None }),
];

impl ColumnKind {
    /// The kind of a PostgreSQL type: as `format_type` writes it, or taken apart as
    /// `postgres::table` does for domains, arrays, ranges and enums (`list range date`).
    pub fn of(type_name: &str) -> ColumnKind {
        let name = type_name.trim();
        if let Some(element) = name.strip_prefix("list ") {
            return ColumnKind::List(Box::new(ColumnKind::of(element)));
        }
        if let Some(bound) = name.strip_prefix("range ") {
            return ColumnKind::Range(Box::new(ColumnKind::of(bound)));
        }
        if let Some(bound) = name.strip_prefix("multirange ") {
            return ColumnKind::MultiRange(Box::new(ColumnKind::of(bound)));
        }
        if let Some(element) = name.strip_suffix("[]") {
            return ColumnKind::List(Box::new(ColumnKind::of(element)));
        }
        built_in_range(name).unwrap_or_else(|| plain(name))
    }

    /// Whether values are instants or wall times, which are told to the minute.
    pub fn has_time(&self) -> bool {
        match self {
            ColumnKind::TimestampTz | ColumnKind::Timestamp | ColumnKind::Time => true,
            ColumnKind::List(inner) | ColumnKind::Range(inner) | ColumnKind::MultiRange(inner) => {
                inner.has_time()
            }
            _ => false,
        }
    }
}

fn built_in_range(name: &str) -> Option<ColumnKind> {
    let of = |prefix: &str| RANGES.iter().find(|(p, _)| *p == prefix).map(|(_, k)| k.clone());
    if let Some(kind) = name.strip_suffix("multirange").and_then(of) {
        return Some(ColumnKind::MultiRange(Box::new(kind)));
    }
    name.strip_suffix("range").and_then(of).map(|kind| ColumnKind::Range(Box::new(kind)))
}

fn plain(name: &str) -> ColumnKind {
    let (base, modifier) = match name.split_once('(') {
        Some((base, rest)) => (base.trim(), rest.split(')').next().unwrap_or_default()),
        None => (name, ""),
    };
    match base {
        _ if name.starts_with("timestamp") && name.ends_with("with time zone") => {
            ColumnKind::TimestampTz
        }
        _ if name.starts_with("timestamp") => ColumnKind::Timestamp,
        "date" => ColumnKind::Date,
        _ if base == "time" || name.starts_with("time ") => ColumnKind::Time,
        _ if base.starts_with("interval") => ColumnKind::Interval,
        "smallint" | "integer" | "bigint" | "oid" => ColumnKind::Number { scale: Some(0) },
        "numeric" => ColumnKind::Number { scale: scale(modifier) },
        "real" | "double precision" => ColumnKind::Number { scale: None },
        "money" => ColumnKind::Money,
        "boolean" => ColumnKind::Bool,
        "citext" => ColumnKind::Caseless,
        "character" | "bpchar" => ColumnKind::Padded,
        "text" | "character varying" | "uuid" | "name" | "enum" => ColumnKind::Text,
        "json" | "jsonb" => ColumnKind::Json,
        // An extension's type comes with its schema when that is not on the search path.
        _ if base.ends_with(".citext") => ColumnKind::Caseless,
        _ => ColumnKind::Other,
    }
}

/// The digits after the point of `numeric(10,2)`.
fn scale(modifier: &str) -> Option<u8> {
    match modifier.split_once(',') {
        Some((_, scale)) => scale.trim().parse().ok(),
        None if modifier.is_empty() => None,
        None => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_kinds() {
        let list = |kind| ColumnKind::List(Box::new(kind));
        let range = |kind| ColumnKind::Range(Box::new(kind));
        let kinds = [
            ("timestamp with time zone", ColumnKind::TimestampTz),
            ("timestamp(3) with time zone", ColumnKind::TimestampTz),
            ("timestamp(3) without time zone", ColumnKind::Timestamp),
            ("time without time zone", ColumnKind::Time),
            ("time(0) with time zone", ColumnKind::Time),
            ("interval day to second", ColumnKind::Interval),
            ("numeric(10,2)", ColumnKind::Number { scale: Some(2) }),
            ("numeric(10)", ColumnKind::Number { scale: Some(0) }),
            ("numeric", ColumnKind::Number { scale: None }),
            ("integer[]", list(ColumnKind::Number { scale: Some(0) })),
            ("character varying(20)", ColumnKind::Text),
            ("character(3)", ColumnKind::Padded),
            ("public.citext", ColumnKind::Caseless),
            ("enum", ColumnKind::Text),
            ("tstzrange", range(ColumnKind::TimestampTz)),
            ("daterange[]", list(range(ColumnKind::Date))),
            ("datemultirange", ColumnKind::MultiRange(Box::new(ColumnKind::Date))),
            ("list range time without time zone", list(range(ColumnKind::Time))),
            ("point", ColumnKind::Other),
        ];
        for (name, kind) in kinds {
            assert_eq!(ColumnKind::of(name), kind, "{name}");
        }
    }
}
