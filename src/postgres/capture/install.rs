//! The triggers on the business's tables: how they come and go. Their SQL: see trigger.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};

use crate::config::Watch;
use crate::domain::value::change::Operation;
use crate::postgres::capture::quoting::quote;
pub use crate::postgres::capture::table::{CaptureError, TableColumn, WatchedTable, describe};
pub use crate::postgres::capture::trigger::statements;
use crate::postgres::capture::trigger::{
    arguments, function_name, function_sql, layout_sql, trigger_name, trigger_sql,
};

/// What `install` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    New,
    Replaced,
    Unchanged,
}

/// Installs or renews the trigger of a watch. Waits at most 3 seconds for the table.
pub async fn install(
    client: &mut Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<Installed, CaptureError> {
    let before = installed(client, table).await?;
    let tx = client.transaction().await?;
    let done = write(&tx, table, watch, before.as_ref()).await;
    match done {
        Ok(installed) => {
            tx.commit().await?;
            Ok(installed)
        }
        Err(error) => {
            drop(tx);
            let needed = format!(
                "the role needs TRIGGER on {} and CREATE on schema rowbell; run it as their owner, or have a DBA run `rowbell watch --print`",
                table.table
            );
            Err(explain(client, &table.watch, &[table.oid], needed, error).await)
        }
    }
}

async fn write(
    tx: &Transaction<'_>,
    table: &WatchedTable,
    watch: &Watch,
    before: Option<&InstalledTrigger>,
) -> Result<Installed, tokio_postgres::Error> {
    tx.batch_execute("set local lock_timeout = '3s'; set local check_function_bodies = off")
        .await?;
    tx.batch_execute(&layout_sql(table)).await?;
    // The function is replaced without touching the table.
    tx.batch_execute(&function_sql(table, watch)).await?;
    let wanted = InstalledTrigger::wanted(table, watch);
    let done = match before {
        Some(before) if before == &wanted => return Ok(Installed::Unchanged),
        Some(_) => Installed::Replaced,
        None => Installed::New,
    };
    tx.batch_execute(&trigger_sql(table, watch)).await?;
    Ok(done)
}

/// Removes trigger and function of a watch, from whatever table it is on. Says whether there was
/// one.
pub async fn remove(client: &mut Client, watch: &str) -> Result<bool, CaptureError> {
    let query = "select format('%I.%I', n.nspname, c.relname), c.oid
                   from pg_trigger as t
                   join pg_class as c on c.oid = t.tgrelid
                   join pg_namespace as n on n.oid = c.relnamespace
                  where t.tgname = $1 and not t.tgisinternal and t.tgparentid = 0";
    let name = trigger_name(watch);
    let tables = client.query(query, &[&name]).await?;
    let named: Vec<String> = tables.iter().map(|row| row.get(0)).collect();
    let drops =
        named.iter().map(|table| format!("drop trigger if exists {} on {table};", quote(&name)));
    let drops = format!(
        "set local lock_timeout = '3s'; {} drop function if exists {}()",
        drops.collect::<String>(),
        function_name(watch)
    );
    let tx = client.transaction().await?;
    if let Err(error) = tx.batch_execute(&drops).await {
        tx.rollback().await?;
        let oids: Vec<u32> = tables.iter().map(|row| row.get(1)).collect();
        let needed = format!(
            "only the owner of {} may remove its trigger; have them run `rowbell unwatch --print`",
            named.join(", ")
        );
        return Err(explain(client, watch, &oids, needed, error).await);
    }
    tx.commit().await?;
    Ok(!tables.is_empty())
}

/// What `unwatch --print` shows.
pub fn removal(table: &WatchedTable) -> String {
    format!(
        "drop trigger if exists {} on {};\ndrop function if exists {}();",
        quote(&trigger_name(&table.watch)),
        table.table,
        function_name(&table.watch)
    )
}

/// A trigger as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InstalledTrigger {
    arguments: Vec<String>,
    operations: Vec<Operation>,
    is_enabled: bool,
}

impl InstalledTrigger {
    fn wanted(table: &WatchedTable, watch: &Watch) -> InstalledTrigger {
        let operations = [Operation::Insert, Operation::Update, Operation::Delete];
        InstalledTrigger {
            arguments: arguments(table, watch),
            operations: operations.into_iter().filter(|o| watch.on.contains(o)).collect(),
            is_enabled: true,
        }
    }
}

async fn installed(
    client: &Client,
    table: &WatchedTable,
) -> Result<Option<InstalledTrigger>, tokio_postgres::Error> {
    let query = "select tgargs, tgtype::integer, tgenabled::text <> 'D'
                   from pg_trigger where tgrelid = $1 and tgname = $2 and not tgisinternal";
    let row = client.query_opt(query, &[&table.oid, &trigger_name(&table.watch)]).await?;
    Ok(row.map(|row| {
        let arguments: Vec<u8> = row.get(0);
        let bits: i32 = row.get(1);
        // Bits of pg_trigger.tgtype: 4 insert, 8 delete, 16 update.
        let events = [(4, Operation::Insert), (16, Operation::Update), (8, Operation::Delete)];
        InstalledTrigger {
            arguments: arguments
                .split(|byte| *byte == 0)
                .map(|argument| String::from_utf8_lossy(argument).into_owned())
                .take(5)
                .collect(),
            operations: events.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, o)| *o).collect(),
            is_enabled: row.get(2),
        }
    }))
}

/// Whether the watch has a trigger on its table, in whatever shape.
pub async fn is_installed(
    client: &Client,
    table: &WatchedTable,
) -> Result<bool, tokio_postgres::Error> {
    Ok(installed(client, table).await?.is_some())
}

/// What is installed differently from what the configuration asks for, as sentences.
pub async fn drift(
    client: &Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let wanted = InstalledTrigger::wanted(table, watch);
    let mut drift = match installed(client, table).await? {
        None => vec![format!("{} has no trigger for it; run `rowbell watch`", table.table)],
        Some(found) if !found.is_enabled => {
            vec![format!(
                "its trigger on {} is disabled; alter table … enable trigger",
                table.table
            )]
        }
        Some(found) if found != wanted => {
            vec![format!(
                "its trigger on {} is of an earlier configuration; run `rowbell watch`",
                table.table
            )]
        }
        Some(_) => Vec::new(),
    };
    if is_row_security_active(client, table).await? {
        drift.push(format!(
            "row level security of {} may hide rows from this role, so that none is read; {WAY_PAST_ROW_SECURITY}",
            table.table
        ));
    }
    Ok(drift)
}

/// What a DBA can do where row level security would hide rows from the daemon.
pub const WAY_PAST_ROW_SECURITY: &str = "alter role … bypassrls; or, where its policies show that role every row, \
     add options=-c%20row_security%3Don to database.url";

/// Whether row level security decides what our role sees of a table.
async fn is_row_security_active(
    client: &Client,
    table: &WatchedTable,
) -> Result<bool, tokio_postgres::Error> {
    let query = "select pg_catalog.row_security_active($1::oid) and current_setting('row_security') = 'off'";
    client.query_one(query, &[&table.oid]).await?.try_get(0)
}

/// Whether a table has row level security, which holds for every role that does not bypass it.
pub async fn has_row_security(
    client: &Client,
    table: &WatchedTable,
) -> Result<bool, tokio_postgres::Error> {
    let query = "select c.relrowsecurity from pg_catalog.pg_class as c where c.oid = $1";
    client.query_one(query, &[&table.oid]).await?.try_get(0)
}

async fn explain(
    client: &Client,
    watch: &str,
    tables: &[u32],
    needed: String,
    error: tokio_postgres::Error,
) -> CaptureError {
    let watch = watch.to_owned();
    match error.code() {
        Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let query = "select string_agg(distinct pid::text, ', ') from pg_locks where relation = any ($1) and granted";
            let blockers = client.query_one(query, &[&tables]).await;
            let blocker = blockers.ok().and_then(|row| row.get::<_, Option<String>>(0));
            CaptureError::Locked { watch, blocker: blocker.unwrap_or_else(|| "unknown".to_owned()) }
        }
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            CaptureError::Privilege { watch, needed, source: error }
        }
        _ => CaptureError::Query(error),
    }
}
