//! Names of the rows that foreign keys point to: one query for each such column and batch, whatever
//! the number of values.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use deadpool_postgres::Transaction;
use serde_json::Value;
use tokio_postgres::types::Json;

use crate::config::Watch;
use crate::domain::text::labels::text_of;
use crate::domain::text::localized_text::LocalizedText;
use crate::domain::value::column;
use crate::domain::value::row::Row;
use crate::postgres::capture::quoting::quote;
use crate::postgres::capture::quoting::subquery;
use crate::postgres::capture::table::WatchedTable;

/// The label queries of a watch, by column.
pub fn queries(table: &WatchedTable, watch: &Watch) -> BTreeMap<String, String> {
    watch
        .lookup
        .iter()
        .map(|(name, lookup)| (name.clone(), query(table, name, &lookup.sql)))
        .collect()
}

/// The site's query stands between ours: `wanted` has one value of the column as its own type.
fn query(table: &WatchedTable, name: &str, sql: &str) -> String {
    let type_name = table.column(name);
    format!(
        "-- lookup: the names of the rows that values of one column point to.
select asked.text, to_jsonb(named.*)
  from unnest($1::text[]) as asked (text)
 cross join lateral (select asked.text::{} as {}) as wanted
 cross join lateral (
       select found.* from (
{}
       ) as found limit 1
  ) as named",
        type_name.map_or("text", |column| column.type_name.as_str()),
        quote(name),
        subquery(sql),
    )
}

/// Looks up every value that a column has in these rows; None: it has none. A failure ends the transaction, unless
/// the query is `guarded`.
pub async fn find<'a>(
    tx: &Transaction<'_>,
    name: &str,
    sql: &str,
    rows: impl Iterator<Item = &'a Row>,
    is_guarded: bool,
) -> Result<Option<BTreeMap<String, LocalizedText>>, tokio_postgres::Error> {
    let values: BTreeSet<String> =
        rows.filter_map(|row| text_of(column::value(Some(row), name))).collect();
    if values.is_empty() {
        return Ok(None);
    }
    let values: Vec<String> = values.into_iter().collect();
    if !is_guarded {
        return ask(tx, sql, &values).await.map(Some);
    }
    tx.batch_execute("savepoint label_query").await?;
    let found = ask(tx, sql, &values).await;
    if found.as_ref().is_err_and(|error| error.code().is_some()) {
        tx.batch_execute("rollback to savepoint label_query").await?;
    }
    tx.batch_execute("release savepoint label_query").await?;
    found.map(Some)
}

async fn ask(
    tx: &Transaction<'_>,
    sql: &str,
    values: &[String],
) -> Result<BTreeMap<String, LocalizedText>, tokio_postgres::Error> {
    let statement = tx.prepare_cached(sql).await?;
    let mut found = BTreeMap::new();
    for row in tx.query(&statement, &[&values]).await? {
        let Json(labels): Json<Row> = row.try_get(1)?;
        if let Some(label) = local_text(labels) {
            found.insert(row.try_get(0)?, label);
        }
    }
    Ok(found)
}

/// The column `label` is for everybody; columns named by language tags (`es`, `pt-BR`) are for
/// readers of these languages. A query with one column may call it as it likes.
fn local_text(labels: Row) -> Option<LocalizedText> {
    let text = |value: Value| match value {
        Value::String(text) if !text.trim().is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if labels.len() == 1 {
        return labels.into_iter().find_map(|(_, value)| text(value)).map(LocalizedText::Same);
    }
    let tag =
        |name: CompactString| if name == "label" { "default".to_owned() } else { name.into() };
    let texts: BTreeMap<String, String> =
        labels.into_iter().filter_map(|(name, value)| Some((tag(name), text(value)?))).collect();
    (!texts.is_empty()).then_some(LocalizedText::ByLanguage(texts))
}
