//! What a check finds: where it is, what is wrong, what to do about it.

use std::fmt;

/// Where something is written: a file with the line in it, or a variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// One thing that is wrong. Findings are in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub place: Option<Place>,
    /// `watch.home_delivery.colums`; empty where a file is no TOML at all.
    pub key: String,
    /// What is wrong, and what to do about it.
    pub what: String,
}

impl Finding {
    pub fn new(key: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding { place: None, key: key.into(), what: what.into() }
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
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(2))
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
    }
}
