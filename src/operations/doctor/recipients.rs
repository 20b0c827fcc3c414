//! Whether the rows of a watch and their recipients are found by an index.

use crate::config::Config;
use crate::finding::Finding;
use crate::operations::check::report::CheckReport;
use crate::postgres::capture::install::{self, WatchedTable};
use crate::postgres::capture::plan::{self, WholeScan};
use crate::postgres::capture::quoting::quote;
use crate::postgres::capture::{key, label_query, proof};
use crate::postgres::connection::pool::Client;
use crate::postgres::inspection::doctor::Limits;

pub async fn look(client: &Client, config: &Config, limits: &Limits, report: &mut CheckReport) {
    for (name, watch) in &config.watch {
        let Some(template) = config.template.get(&watch.template) else { continue };
        // What is wrong with the table or its SQL is said elsewhere.
        let Ok(table) = install::describe(client, name, watch, template).await else { continue };
        let recipient = ("recipient".to_owned(), proof::bare_recipient(&table, watch));
        let lookups = label_query::queries(&table, watch)
            .into_iter()
            .map(|(column, sql)| (format!("lookup.{column}.sql"), sql.replace("$1", "'{}'")));
        for (setting, query) in std::iter::once(recipient).chain(lookups) {
            let scans = plan::whole_scans(client, &query, limits.scan_bytes).await;
            for scan in scans.unwrap_or_default() {
                report.push(slow(&format!("watch.{name}.{setting}"), &scan));
            }
        }
        if !watch.key.is_empty() {
            report.findings.extend(unindexed_key(client, name, &table, limits).await);
        }
    }
}

/// A query that reads a whole table for each change.
fn slow(key: &str, scan: &WholeScan) -> Finding {
    let WholeScan { table, bytes, columns, is_partitioned } = scan;
    let what = format!(
        "reads all {} MB of {table} for each change, as no index leads to the rows",
        bytes >> 20
    );
    match columns.as_slice() {
        [] => Finding::warning(key, format!("{what}; make one for what it compares")),
        columns => Finding::warning(key, what).sql(index(table, columns, *is_partitioned)),
    }
}

fn index(table: &str, columns: &[String], is_partitioned: bool) -> String {
    let columns: Vec<String> = columns.iter().map(|column| quote(column)).collect();
    // PostgreSQL makes none of a partitioned table without a lock.
    let how = if is_partitioned { "" } else { " concurrently" };
    format!("create index{how} on {table} ({})", columns.join(", "))
}

/// A key that the configuration names, and no index has.
async fn unindexed_key(
    client: &Client,
    name: &str,
    table: &WatchedTable,
    limits: &Limits,
) -> Option<Finding> {
    let found = key::unindexed(client, table, limits.scan_bytes).await.ok().flatten()?;
    let what = format!(
        "no index finds a row of {} by {}, so that all {} MB are read for each change",
        table.table,
        table.key.join(", "),
        found.bytes >> 20
    );
    let statement = index(&table.table, &table.key, found.is_partitioned);
    Some(Finding::warning(format!("watch.{name}.key"), what).sql(statement))
}
