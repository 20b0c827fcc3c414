//! Why a setting cannot be read, as facts: what serde says, and where.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::config::layers::tree::PathSegment;

/// Why a setting cannot be read.
#[derive(Debug)]
pub struct ReadingError {
    /// From the setting to the root.
    pub path: Vec<PathSegment>,
    pub what: Wrong,
}

#[derive(Debug)]
pub enum Wrong {
    /// There are these.
    Unknown(Vec<&'static str>),
    /// The same in a table that has a variant.
    UnknownHere {
        known: Vec<&'static str>,
        variant: String,
    },
    Missing,
    Value(String),
}

impl ReadingError {
    pub fn below(mut self, step: PathSegment) -> ReadingError {
        self.path.push(step);
        self
    }
}

impl std::error::Error for ReadingError {}

impl fmt::Display for ReadingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl de::Error for ReadingError {
    fn custom<T: fmt::Display>(what: T) -> ReadingError {
        ReadingError { path: Vec::new(), what: Wrong::Value(what.to_string()) }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> ReadingError {
        match found {
            Unexpected::Str(text) => {
                ReadingError::custom(format!("expected {expected}, found {text:?}"))
            }
            Unexpected::Seq => ReadingError::custom(format!("expected {expected}, found a list")),
            Unexpected::Map => ReadingError::custom(format!("expected {expected}, found a table")),
            Unexpected::Signed(number) => {
                ReadingError::custom(format!("expected {expected}, found {number}"))
            }
            Unexpected::Float(number) => {
                ReadingError::custom(format!("expected {expected}, found {number}"))
            }
            Unexpected::Bool(is_on) => {
                ReadingError::custom(format!("expected {expected}, found {is_on}"))
            }
            other => ReadingError::custom(format!("expected {expected}, found {other}")),
        }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> ReadingError {
        ReadingError::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> ReadingError {
        ReadingError::custom(format!("expected {}, found \"{found}\"", one_of(known)))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> ReadingError {
        ReadingError {
            path: vec![PathSegment::Key(name.to_owned())],
            what: Wrong::Unknown(known.to_vec()),
        }
    }

    fn missing_field(name: &'static str) -> ReadingError {
        ReadingError { path: vec![PathSegment::Key(name.to_owned())], what: Wrong::Missing }
    }
}

pub fn one_of(known: &[&str]) -> String {
    match known {
        [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
        few => few.join(""),
    }
}
