//! Whether the SQL of a watch can be run: each piece of it over no row at all, so that a table, a column, a
//! function or a right that is missing is found before the first change.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Json, Type};

use crate::config::Watch;
use crate::error_chain::chain;
use crate::finding::Finding;
use crate::postgres::capture::quoting::{quote, subquery};
use crate::postgres::capture::table::WatchedTable;
use crate::postgres::capture::{label_query, plan};
use crate::postgres::connection::statement::is_of_the_server;

/// What of a watch a fault is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchPart {
    /// Nothing can be told without it.
    Whole,
    /// The label query of this column: its values are told without their names.
    Lookup(String),
}

/// A piece of SQL that cannot be run.
#[derive(Clone, Debug)]
pub struct SqlFault {
    pub part: WatchPart,
    /// The setting that holds the SQL, below the watch.
    pub setting: String,
    pub why: String,
}

impl SqlFault {
    /// The fault with the whole name of its setting.
    pub fn of_watch(&self, watch: &str) -> Finding {
        Finding::new(format!("watch.{watch}.{}", self.setting), &self.why)
    }
}

/// One piece of SQL, as a query that reads no row of the watched table.
struct Piece {
    part: WatchPart,
    setting: String,
    sql: String,
}

/// The row of a watch's table that a piece is about, by the name that the configuration calls it.
fn changed(table: &WatchedTable) -> String {
    format!(
        "from unnest($1::jsonb[]) as item (\"item of rowbell\")
 cross join lateral jsonb_populate_record(null::{}, item.\"item of rowbell\") as changed",
        table.table
    )
}

fn recipient(table: &WatchedTable, watch: &Watch) -> String {
    let query = subquery(&watch.recipient);
    format!("select r.* {}\n cross join lateral (\n{query}\n) as r", changed(table))
}

/// The recipient query over no row, without parameters.
pub fn bare_recipient(table: &WatchedTable, watch: &Watch) -> String {
    recipient(table, watch).replace("$1", "'{}'")
}

/// The columns that the recipient query gives.
pub async fn recipient_columns(
    client: &tokio_postgres::Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let types = recipient_types(client, table, watch).await?;
    Ok(types.into_iter().map(|(name, _)| name).collect())
}

/// The same with their types; a domain is its base.
pub async fn recipient_types(
    client: &tokio_postgres::Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<Vec<(String, Type)>, tokio_postgres::Error> {
    let statement = client.prepare(&recipient(table, watch)).await?;
    let columns = statement.columns().iter();
    Ok(columns.map(|column| (column.name().to_owned(), column.type_().clone())).collect())
}

/// Tables that the recipient query reads and whose rows point to the watched one.
pub async fn children_read(
    client: &tokio_postgres::Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let plan = plan::plan(client, &bare_recipient(table, watch)).await?;
    let mut read = BTreeSet::new();
    tables_of(&plan, &mut read);
    let read: Vec<String> = read.into_iter().collect();
    let query = include_str!("../../../sql/queries/capture/recipient_children.sql");
    let rows = client.query(query, &[&table.oid, &read]).await?;
    rows.iter().map(|row| row.try_get("child")).collect()
}

/// The tables that stand in a plan, qualified.
fn tables_of(plan: &Value, found: &mut BTreeSet<String>) {
    match plan {
        Value::Array(items) => items.iter().for_each(|item| tables_of(item, found)),
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            if let (Some(schema), Some(name)) = (text("Schema"), text("Relation Name")) {
                found.insert(format!("{}.{}", quote(schema), quote(name)));
            }
            members.values().for_each(|member| tables_of(member, found));
        }
        _ => {}
    }
}

fn pieces(table: &WatchedTable, watch: &Watch) -> Vec<Piece> {
    let whole = |setting: &str, sql: String| Piece {
        part: WatchPart::Whole,
        setting: setting.to_owned(),
        sql,
    };
    let mut pieces = vec![
        whole(
            "table",
            format!("select t.* from {} as t where cardinality($1::jsonb[]) < 0", table.table),
        ),
        whole("recipient", recipient(table, watch)),
    ];
    let expressions = [
        ("expires_at", &watch.expires_at),
        ("quiet_hours.of", &watch.quiet_hours.of),
        ("row_time_zone", &watch.row_time_zone),
    ];
    for (setting, expression) in expressions {
        let Some(expression) = expression else { continue };
        // As where it is used: its columns are those of the row, and of nothing else.
        let sql = format!(
            "select said.* from unnest($1::jsonb[]) as item (\"item of rowbell\")
 cross join lateral (
       select (\n{expression}\n) from jsonb_populate_record(null::{}, item.\"item of rowbell\") as changed
  ) as said",
            table.table
        );
        pieces.push(whole(setting, sql));
    }
    pieces
}

/// Everything that cannot be run. An error: the database did not answer.
pub async fn faults(
    client: &tokio_postgres::Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<Vec<SqlFault>, tokio_postgres::Error> {
    let mut found = Vec::new();
    let nothing: Vec<Json<Value>> = Vec::new();
    for Piece { part, setting, sql } in pieces(table, watch) {
        let why = refusal(client.query(&sql, &[&nothing]).await.map(drop), |error| match setting
            .as_str()
        {
            "table" => String::new(),
            "recipient" => {
                hint_of(error, "expected a query over changed, a row of the table", table)
            }
            _ => hint_of(error, "expected an expression over the columns of the row", table),
        })?;
        let is_moment = ["expires_at", "quiet_hours.of"].contains(&setting.as_str());
        let why = match why {
            None if is_moment => no_moment(client, &sql).await?,
            why => why,
        };
        found.extend(why.map(|why| SqlFault { part, setting, why }));
    }
    for (column, sql) in label_query::queries(table, watch) {
        let nothing: Vec<String> = Vec::new();
        let why = refusal(client.query(&sql, &[&nothing]).await.map(drop), |_| String::new())?;
        found.extend(why.map(|why| SqlFault {
            setting: format!("lookup.{column}.sql"),
            part: WatchPart::Lookup(column),
            why,
        }));
    }
    Ok(found)
}

/// What is said of an expression whose type holds no moment. A text may.
async fn no_moment(
    client: &tokio_postgres::Client,
    sql: &str,
) -> Result<Option<String>, tokio_postgres::Error> {
    let statement = client.prepare(sql).await?;
    let found = statement.columns().first().map(|column| column.type_());
    Ok(found.filter(|found| !MOMENTS.contains(found)).map(|found| {
        let instead = match *found {
            Type::INT4 | Type::INT8 | Type::NUMERIC | Type::FLOAT8 => {
                "; of seconds since 1970, to_timestamp(…) makes one"
            }
            Type::TSTZ_RANGE | Type::TS_RANGE | Type::DATE_RANGE => "; of a range, upper(…) is its end",
            _ => "",
        };
        format!("expected a moment (timestamptz, timestamp or date), found a value of type {found}{instead}")
    }))
}

/// Types whose values may be moments.
const MOMENTS: [Type; 9] = [
    Type::TIMESTAMPTZ,
    Type::TIMESTAMP,
    Type::DATE,
    Type::TEXT,
    Type::VARCHAR,
    Type::BPCHAR,
    Type::UNKNOWN,
    Type::JSON,
    Type::JSONB,
];

/// Every piece of SQL of a watch without parameters, over no row at all.
pub fn statements(table: &WatchedTable, watch: &Watch) -> Vec<String> {
    let own = pieces(table, watch).into_iter().map(|piece| piece.sql);
    let lookups = label_query::queries(table, watch).into_values();
    let bare = |sql: String| {
        sql.replacen("$1::jsonb[]", "'{}'::jsonb[]", 1).replacen("$1::text[]", "'{}'::text[]", 1)
    };
    own.chain(lookups).map(bare).collect()
}

/// What helps beside the words of the server, which suggests a column only where one is near.
fn hint_of(error: &tokio_postgres::Error, expected: &str, table: &WatchedTable) -> String {
    match error.as_db_error().map(|said| (said.code(), said.hint())) {
        Some((&SqlState::SYNTAX_ERROR, _)) => format!("; {expected}"),
        Some((&SqlState::UNDEFINED_COLUMN, None)) => {
            format!("; {} has {}", table.table, table.column_names().join(", "))
        }
        _ => String::new(),
    }
}

/// What the server refuses, as a sentence.
fn refusal(
    answer: Result<(), tokio_postgres::Error>,
    hint: impl Fn(&tokio_postgres::Error) -> String,
) -> Result<Option<String>, tokio_postgres::Error> {
    match answer {
        Ok(()) => Ok(None),
        Err(error) if is_of_the_server(&error) => Err(error),
        Err(error) => Ok(Some(chain(&error) + &hint(&error))),
    }
}
