//! What kind of values a column holds, told from its PostgreSQL type.

use std::collections::BTreeMap;

/// The kind of a column's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
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
    List(Box<Kind>),
    Range(Box<Kind>),
    MultiRange(Box<Kind>),
    /// Compared as it is written.
    Other,
}

/// Kinds by column.
pub type Kinds = BTreeMap<String, Kind>;

/// The ranges that PostgreSQL brings along.
const RANGES: [(&str, Kind); 6] = [
    ("tstz", Kind::TimestampTz),
    ("ts", Kind::Timestamp),
    ("date", Kind::Date),
    ("int4", Kind::Number { scale: Some(0) }),
    ("int8", Kind::Number { scale: Some(0) }),
    ("num", Kind::Number { scale: None }),
];

impl Kind {
    /// The kind of a PostgreSQL type: as `format_type` writes it, or taken apart as
    /// `postgres::table` does for domains, arrays, ranges and enums (`list range date`).
    pub fn of(type_name: &str) -> Kind {
        let name = type_name.trim();
        if let Some(element) = name.strip_prefix("list ") {
            return Kind::List(Box::new(Kind::of(element)));
        }
        if let Some(bound) = name.strip_prefix("range ") {
            return Kind::Range(Box::new(Kind::of(bound)));
        }
        if let Some(bound) = name.strip_prefix("multirange ") {
            return Kind::MultiRange(Box::new(Kind::of(bound)));
        }
        if let Some(element) = name.strip_suffix("[]") {
            return Kind::List(Box::new(Kind::of(element)));
        }
        built_in_range(name).unwrap_or_else(|| plain(name))
    }

    /// Whether values are instants or wall times, which are told to the minute.
    pub fn has_time(&self) -> bool {
        match self {
            Kind::TimestampTz | Kind::Timestamp | Kind::Time => true,
            Kind::List(inner) | Kind::Range(inner) | Kind::MultiRange(inner) => inner.has_time(),
            _ => false,
        }
    }
}

fn built_in_range(name: &str) -> Option<Kind> {
    let of = |prefix: &str| RANGES.iter().find(|(p, _)| *p == prefix).map(|(_, k)| k.clone());
    if let Some(kind) = name.strip_suffix("multirange").and_then(of) {
        return Some(Kind::MultiRange(Box::new(kind)));
    }
    name.strip_suffix("range").and_then(of).map(|kind| Kind::Range(Box::new(kind)))
}

fn plain(name: &str) -> Kind {
    let (base, modifier) = match name.split_once('(') {
        Some((base, rest)) => (base.trim(), rest.split(')').next().unwrap_or_default()),
        None => (name, ""),
    };
    match base {
        _ if name.starts_with("timestamp") && name.ends_with("with time zone") => Kind::TimestampTz,
        _ if name.starts_with("timestamp") => Kind::Timestamp,
        "date" => Kind::Date,
        _ if base == "time" || name.starts_with("time ") => Kind::Time,
        _ if base.starts_with("interval") => Kind::Interval,
        "smallint" | "integer" | "bigint" | "oid" => Kind::Number { scale: Some(0) },
        "numeric" => Kind::Number { scale: scale(modifier) },
        "real" | "double precision" => Kind::Number { scale: None },
        "money" => Kind::Money,
        "boolean" => Kind::Bool,
        "citext" => Kind::Caseless,
        "character" | "bpchar" => Kind::Padded,
        "text" | "character varying" | "uuid" | "name" | "enum" => Kind::Text,
        "json" | "jsonb" => Kind::Json,
        // An extension's type comes with its schema when that is not on the search path.
        _ if base.ends_with(".citext") => Kind::Caseless,
        _ => Kind::Other,
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
        let list = |kind| Kind::List(Box::new(kind));
        let range = |kind| Kind::Range(Box::new(kind));
        let kinds = [
            ("timestamp with time zone", Kind::TimestampTz),
            ("timestamp(3) with time zone", Kind::TimestampTz),
            ("timestamp(3) without time zone", Kind::Timestamp),
            ("time without time zone", Kind::Time),
            ("time(0) with time zone", Kind::Time),
            ("interval day to second", Kind::Interval),
            ("numeric(10,2)", Kind::Number { scale: Some(2) }),
            ("numeric(10)", Kind::Number { scale: Some(0) }),
            ("numeric", Kind::Number { scale: None }),
            ("integer[]", list(Kind::Number { scale: Some(0) })),
            ("character varying(20)", Kind::Text),
            ("character(3)", Kind::Padded),
            ("public.citext", Kind::Caseless),
            ("enum", Kind::Text),
            ("tstzrange", range(Kind::TimestampTz)),
            ("daterange[]", list(range(Kind::Date))),
            ("datemultirange", Kind::MultiRange(Box::new(Kind::Date))),
            ("list range time without time zone", list(range(Kind::Time))),
            ("point", Kind::Other),
        ];
        for (name, kind) in kinds {
            assert_eq!(Kind::of(name), kind, "{name}");
        }
    }
}
