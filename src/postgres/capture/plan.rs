//! How the server finds the recipients of a row: where it reads a whole table for each, it says so here, before a
//! thousand changes wait for it.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;
use tokio_postgres::types::Json;
use tokio_postgres::{Client, Error};

use crate::postgres::connection::statement::text;

/// A table that is read in whole for each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeScan {
    /// Quoted and qualified; of a partition its table.
    pub table: String,
    pub bytes: i64,
    /// The columns that the query compares, by which an index would find the rows.
    pub columns: Vec<String>,
    pub is_partitioned: bool,
}

/// A node of a plan that reads a table from its first row to its last.
struct Scan {
    schema: String,
    table: String,
    alias: String,
}

/// The plan of a query as the server gives it.
pub async fn plan(client: &Client, query: &str) -> Result<Value, Error> {
    let row = client.query_one(&format!("explain (verbose, format json) {query}"), &[]).await?;
    let Json(plan): Json<Value> = row.try_get(0)?;
    Ok(plan)
}

/// The tables of at least so many bytes that a query reads in whole. Our sessions do so only where no index can be
/// used.
pub async fn whole_scans(
    client: &Client,
    query: &str,
    bytes: i64,
) -> Result<Vec<WholeScan>, Error> {
    let plan = plan(client, query).await?;
    let (mut scans, mut conditions) = (Vec::new(), Vec::new());
    walk(&plan, &mut scans, &mut conditions);
    let mut found: Vec<WholeScan> = Vec::new();
    for scan in scans {
        let row = client.query_one(text!("doctor/scanned"), &[&scan.schema, &scan.table]).await?;
        let names: Vec<String> = row.try_get("columns")?;
        let compared = compared(&scan.alias, &names, &conditions);
        let whole = WholeScan {
            table: row.try_get("table_name")?,
            bytes: row.try_get("bytes")?,
            columns: compared,
            is_partitioned: row.try_get("is_partitioned")?,
        };
        let is_known = found.iter().any(|known| known.table == whole.table);
        if whole.bytes >= bytes && !is_known {
            found.push(whole);
        }
    }
    Ok(found)
}

fn walk(plan: &Value, scans: &mut Vec<Scan>, conditions: &mut Vec<String>) {
    match plan {
        Value::Array(items) => items.iter().for_each(|item| walk(item, scans, conditions)),
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            if let (Some("Seq Scan"), Some(schema), Some(table), Some(alias)) =
                (text("Node Type"), text("Schema"), text("Relation Name"), text("Alias"))
            {
                let (schema, table, alias) =
                    (schema.to_owned(), table.to_owned(), alias.to_owned());
                scans.push(Scan { schema, table, alias });
            }
            let told = ["Filter", "Join Filter"].into_iter().filter_map(text);
            conditions.extend(told.map(str::to_owned));
            members.values().for_each(|member| walk(member, scans, conditions));
        }
        _ => {}
    }
}

/// The columns of a table that conditions compare with something by `=`.
fn compared(alias: &str, columns: &[String], conditions: &[String]) -> Vec<String> {
    let quoted = |name: &str| format!("\"?{}\"?", regex::escape(name));
    let is_compared = |column: &&String| {
        let name = format!("{}\\.{}\\b\"?", quoted(alias), quoted(column));
        // In brackets of its own, or in none: those of a function are not an index's.
        let name = format!("(?:{name}|\\({name}\\))(?:::[a-z ]+)?");
        let pattern = format!("(?:^|[^\\w.\"]){name} = |= {name}(?:$|[^\\w.])");
        Regex::new(&pattern)
            .is_ok_and(|pattern| conditions.iter().any(|condition| pattern.is_match(condition)))
    };
    let found: BTreeSet<&String> = columns.iter().filter(is_compared).collect();
    found.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_an_index_are_those_that_are_compared() {
        let found = |alias: &str, condition: &str| {
            let columns = ["id", "customer_id", "Key", "email"].map(str::to_owned);
            compared(alias, &columns, &[condition.to_owned()]).join(" ")
        };
        assert_eq!(found("c", "(c.id = changed.customer_id)"), "id");
        assert_eq!(found("c", "(changed.customer_id = c.id)"), "id");
        assert_eq!(found("c", "((c.id = 7) AND (c.customer_id = changed.id))"), "customer_id id");
        assert_eq!(found("c", "((c.email)::text = (changed.email)::text)"), "email");
        assert_eq!(found("c", "((changed.email)::text = (c.email)::text)"), "email");
        assert_eq!(found("c", "(c.\"Key\" = 7)"), "Key");
        assert_eq!(found("c", "(lower(c.email) = 'x')"), "", "an index on email would not help");
        assert_eq!(found("c", "(c.id > 7)"), "");
        assert_eq!(found("c", "(cc.id = 7)"), "");
    }
}
