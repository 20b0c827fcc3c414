//! Values of any size: what is stored and compared of them has a bound.

use crate::postgres::capture::quoting::literal;

/// Bytes up to which a value is stored as it is.
const LONGEST_VALUE: usize = 100_000;

/// Types whose values may be huge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugeValue {
    Text,
    Json,
    Bytes,
}

impl HugeValue {
    /// SQL that gives the value, or of a huge one the beginning, to show it, and a digest, to compare it. Its size is
    /// known without reading it.
    pub fn bounded(self, value: &str) -> String {
        let (size, beginning, digest, whole) = match self {
            HugeValue::Text => (
                format!("pg_catalog.octet_length({value})"),
                format!("pg_catalog.left({value}, 4000), '…'"),
                digest(value),
                format!("{value}::pg_catalog.text"),
            ),
            HugeValue::Json => (
                format!("pg_catalog.pg_column_size({value})"),
                format!("pg_catalog.left({value}::pg_catalog.text, 4000), '…'"),
                digest(&format!("{value}::pg_catalog.text")),
                format!("pg_catalog.to_jsonb({value})"),
            ),
            // Bytes again, and as long.
            HugeValue::Bytes => (
                format!("pg_catalog.octet_length({value})"),
                format!(
                    "{}, pg_catalog.encode(pg_catalog.substring({value}, 1, 2000), 'hex')",
                    literal("\\x")
                ),
                format!("pg_catalog.encode(pg_catalog.sha256({value}), 'hex')"),
                format!("{value}::pg_catalog.text"),
            ),
        };
        let bounded = format!("pg_catalog.concat({beginning}, {digest})");
        let bounded = match self {
            HugeValue::Json => format!("pg_catalog.to_jsonb({bounded})"),
            HugeValue::Text | HugeValue::Bytes => bounded,
        };
        format!(
            "case when {size} operator(pg_catalog.>) {LONGEST_VALUE} then {bounded} else {whole} end"
        )
    }
}

fn digest(text: &str) -> String {
    format!("pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to({text}, 'UTF8')), 'hex')")
}
