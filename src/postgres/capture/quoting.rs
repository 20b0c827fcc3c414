//! Pieces of SQL that triggers and queries share.

/// A quoted identifier.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A column of a row.
pub fn field(from: &str, column: &str) -> String {
    format!("{from}.{}", quote(column))
}

/// A quoted text, safe whatever standard_conforming_strings says.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        format!(" E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}

/// A query of the configuration as it stands within another.
pub fn subquery(sql: &str) -> &str {
    sql.trim().trim_end_matches(';')
}

/// A function takes at most 100 arguments.
pub const MAX_ARGUMENTS: usize = 100;

/// A JSON array of values, in pieces where there are many. Qualified, because triggers have no search path.
pub fn jsonb_array(values: &[String]) -> String {
    let pieces: Vec<String> = values
        .chunks(MAX_ARGUMENTS)
        .map(|chunk| format!("pg_catalog.jsonb_build_array({})", chunk.join(", ")))
        .collect();
    pieces.join(" operator(pg_catalog.||) ")
}
