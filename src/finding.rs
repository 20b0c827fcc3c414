//! What a check finds: where it is, what is wrong, how bad it is, and what mends it.

use std::fmt;

use serde::Serialize;
use strum::{EnumString, IntoStaticStr};

/// Where something is written: a file with the line in it, or a variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub source: String,
    pub line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, IntoStaticStr, EnumString,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum Severity {
    /// Somebody wanted it so, or it costs nothing yet.
    Note,
    /// It works, and may not be what is meant, or will not work for long.
    Warning,
    /// Something does not work.
    Error,
}

/// What mends a finding, as it is typed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mend {
    /// A statement for psql, for the owner of what it names.
    Sql(String),
    /// A command of rowbell, without the name of the program.
    Rowbell(String),
    /// A line for a shell on this machine.
    Shell(String),
}

/// One thing that is wrong. Findings are in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// `watch.home_delivery.colums`; empty where a file is no TOML at all.
    pub key: String,
    /// What is wrong, and what to do about it.
    pub what: String,
    pub severity: Severity,
    /// In the order in which to type them; none where a person has to decide.
    pub mend: Vec<Mend>,
}

impl Finding {
    pub fn new(key: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding {
            place: None,
            key: key.into(),
            what: what.into(),
            severity: Severity::Error,
            mend: Vec::new(),
        }
    }

    pub fn warning(key: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::new(key, what) }
    }

    pub fn note(key: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding { severity: Severity::Note, ..Finding::new(key, what) }
    }

    /// The same with the section that its key is in.
    pub fn below(mut self, section: &str) -> Finding {
        self.key = match self.key.as_str() {
            "" => section.to_owned(),
            key => format!("{section}.{key}"),
        };
        self
    }

    /// With a statement that mends it.
    pub fn sql(mut self, statement: impl Into<String>) -> Finding {
        self.mend.push(Mend::Sql(statement.into()));
        self
    }

    /// With a command of rowbell that mends it.
    pub fn rowbell(mut self, arguments: impl Into<String>) -> Finding {
        self.mend.push(Mend::Rowbell(arguments.into()));
        self
    }

    /// With a line for a shell that mends it.
    pub fn shell(mut self, line: impl Into<String>) -> Finding {
        self.mend.push(Mend::Shell(line.into()));
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// The known name that was probably meant.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Of two that are as near, the one that shares more letters: "colums" is rather columns than column.
    let unlike = |name: &str| 1.0 - strsim::jaro(name, wanted);
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(name, wanted), name))
        .min_by(|a, b| a.0.cmp(&b.0).then(unlike(a.1).total_cmp(&unlike(b.1))))
        // Of two letters, one may be another; of one letter, nothing is left.
        .filter(|(distance, name)| {
            *distance <= (name.len() / 3).max(2) && *distance < name.len().max(wanted.len())
        })
        .map(|(_, name)| name)
}

/// "; did you mean …?" when a known name is near.
pub fn did_you_mean<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wanted, known).map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

/// "; did you mean …?", or the list of what there is.
pub fn hint(wanted: &str, known: &[&str]) -> String {
    match did_you_mean(wanted, known.iter().copied()) {
        near if near.is_empty() && !known.is_empty() => format!("; there are {}", known.join(", ")),
        near => near,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_the_nearest_name_or_one_of_all() {
        assert_eq!(hint("colums", &["column", "columns"]), "; did you mean \"columns\"?");
        assert_eq!(hint("region", &["locale", "zone"]), "; there are locale, zone");
        assert_eq!(hint("region", &[]), "");
        assert_eq!(did_you_mean("region", ["locale", "zone"]), "");
        assert_eq!(hint("C", &["A", "B"]), "; there are A, B");
    }
}
