//! The primary key of a row as one text: the trigger writes it, and people name rows by it.

use tokio_postgres::Client;

use crate::domain::value::change;
use crate::postgres::capture::quoting::{field, literal, quote};
use crate::postgres::capture::table::WatchedTable;
use crate::postgres::connection::statement::text;

/// The key of a row: each value as `to_jsonb` writes it. A cast writes some types the same way, and costs half.
pub fn key_expression(table: &WatchedTable, from: &str) -> String {
    let part = |column: &String| {
        let value = field(from, column);
        match table.column(column).map(|column| column.type_name.as_str()) {
            Some("smallint" | "integer" | "bigint" | "text" | "uuid") => {
                format!("{value}::pg_catalog.text")
            }
            _ if table.bytewise.contains(column) => {
                format!("{} operator(pg_catalog.#>>) '{{}}'", table.stored(from, column))
            }
            _ if table.column(column).is_some_and(|c| c.is_padded() || c.has_structure) => {
                table.stored(from, column)
            }
            _ => format!("pg_catalog.to_jsonb({value}) operator(pg_catalog.#>>) '{{}}'"),
        }
    };
    match table.key.as_slice() {
        [only] => part(only),
        several => {
            let parts: Vec<String> = several
                .iter()
                .map(|column| {
                    format!(
                        "pg_catalog.replace(pg_catalog.replace({}, E'\\\\', E'\\\\\\\\'), ',', E'\\\\,')",
                        part(column)
                    )
                })
                .collect();
            format!("pg_catalog.concat_ws(',', {})", parts.join(", "))
        }
    }
}

/// The key as the trigger writes it, of a key as a person wrote it: `07` is `7`, and one moment may be written in the
/// time of any zone. None: it has another number of parts.
pub async fn as_captured(
    client: &tokio_postgres::Client,
    table: &WatchedTable,
    key: &str,
) -> Result<Option<String>, tokio_postgres::Error> {
    let Ok(parts) = change::key_row(key, &table.key) else { return Ok(None) };
    let parts: Vec<String> = table
        .key
        .iter()
        .map(|column| {
            let part =
                parts.get(column.as_str()).and_then(|part| part.as_str()).unwrap_or_default();
            let type_name = table.column(column).map_or("text", |column| column.type_name.as_str());
            format!("{}::{type_name} as {}", literal(part), quote(column))
        })
        .collect();
    let query = format!(
        "select {} from (select {}) as item",
        key_expression(table, "item"),
        parts.join(", ")
    );
    let written: Option<String> = client.query_one(&query, &[]).await?.try_get(0)?;
    Ok(written.map(change::bounded_key))
}

/// A table by whose key no index leads to a row.
#[derive(Clone, Copy, Debug)]
pub struct UnindexedKey {
    pub bytes: i64,
    pub is_partitioned: bool,
}

/// Whether rows are found by their key only by reading a table of at least so many bytes.
pub async fn unindexed(
    client: &Client,
    table: &WatchedTable,
    bytes: i64,
) -> Result<Option<UnindexedKey>, tokio_postgres::Error> {
    let query = text!("doctor/unindexed_key");
    let row = client.query_opt(query, &[&table.oid, &table.key, &bytes]).await?;
    row.map(|row| {
        Ok(UnindexedKey {
            bytes: row.try_get("bytes")?,
            is_partitioned: row.try_get("is_partitioned")?,
        })
    })
    .transpose()
}

/// Whether the database keeps two rows from having the same key.
pub async fn is_unique(
    client: &tokio_postgres::Client,
    table: &WatchedTable,
) -> Result<bool, tokio_postgres::Error> {
    let query = "select exists (
                     select from pg_index as i
                      where i.indrelid = $1 and (i.indisunique or i.indisexclusion) and i.indisvalid
                        and i.indpred is null and i.indexprs is null
                        and not exists (
                            select from unnest(i.indkey) with ordinality as k (attnum, position)
                              join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
                             where k.position <= i.indnkeyatts and a.attname::text <> all ($2)
                        )
                 )";
    client.query_one(query, &[&table.oid, &table.key]).await?.try_get(0)
}
