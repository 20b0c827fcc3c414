//! The triggers on the business's tables: how they come and go. Their SQL: see trigger.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};

use crate::config::Watch;
use crate::domain::value::change::Operation;
use crate::finding::Finding;
use crate::postgres::capture::quoting::quote;
use crate::postgres::capture::table::TablePart;
pub use crate::postgres::capture::table::{CaptureError, TableColumn, WatchedTable, describe};
use crate::postgres::capture::trigger::{
    arguments, function_name, function_settings, function_sql, layout_sql, trigger_name,
    trigger_sql,
};
use crate::postgres::schema::blocking_sessions::{BlockingSessions, LOCK_TIMEOUT};

/// What `install` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    New,
    Replaced,
    Unchanged,
}

/// What brings the triggers of a watch to where the configuration says.
#[derive(Clone, Debug)]
pub struct InstallPlan {
    pub installed: Installed,
    /// Tables that the watch has left, by name.
    pub taken_off: Vec<String>,
    /// Its trigger fires only for what is replicated: on purpose, so it stays.
    pub is_replica_only: bool,
    /// SQL for a DBA, or for us.
    pub statements: Vec<String>,
}

impl InstallPlan {
    fn of(table: &WatchedTable, watch: &Watch, before: &[CaptureTrigger]) -> InstallPlan {
        let name = trigger_name(&table.watch);
        let is_part = |oid| table.parts.iter().any(|part| part.oid == oid);
        let is_stray = |found: &&CaptureTrigger| !is_part(found.oid) || found.name != name;
        let strays: Vec<&CaptureTrigger> = before.iter().filter(is_stray).collect();
        // The function is replaced without touching the table.
        let mut statements: Vec<String> = strays.iter().map(|stray| stray.drop_sql()).collect();
        statements.extend([layout_sql(table), function_sql(table, watch)]);
        let mut installed = Installed::Unchanged;
        for part in &table.parts {
            let found = before.iter().find(|found| found.oid == part.oid && found.name == name);
            if found.is_some_and(|found| found.fits(table, watch)) {
                continue;
            }
            installed = match found {
                None if part.oid == table.oid => Installed::New,
                _ if installed == Installed::Unchanged => Installed::Replaced,
                _ => installed,
            };
            statements.push(trigger_sql(table, watch, part));
            if let Some(word) = found.and_then(|found| found.firing.kept()) {
                let trigger = quote(&name);
                statements
                    .push(format!("alter table {} enable {word} trigger {trigger};", part.table));
            }
        }
        if installed == Installed::Unchanged && !strays.is_empty() {
            installed = Installed::Replaced;
        }
        let left = strays.iter().filter(|stray| !is_part(stray.oid));
        let own = before.iter().find(|found| found.oid == table.oid);
        InstallPlan {
            installed,
            taken_off: left.map(|stray| stray.table.clone()).collect(),
            is_replica_only: own.is_some_and(|found| found.firing == Firing::ForReplication),
            statements,
        }
    }
}

/// What `install` would do.
pub async fn plan(
    client: &Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<InstallPlan, CaptureError> {
    Ok(InstallPlan::of(table, watch, &triggers_of(client, &table.watch).await?))
}

/// Installs or renews the triggers of a watch, and takes them off the tables that it has left. Waits at most 3 seconds
/// for each table.
pub async fn install(
    client: &mut Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<InstallPlan, CaptureError> {
    let plan = plan(client, table, watch).await?;
    let tx = client.transaction().await?;
    let done = write(&tx, &plan.statements).await;
    match done {
        Ok(()) => {
            tx.commit().await?;
            Ok(plan)
        }
        Err(error) => {
            drop(tx);
            let mut tables: Vec<&str> =
                table.parts.iter().map(|part| part.table.as_str()).collect();
            tables.extend(plan.taken_off.iter().map(String::as_str));
            let needed = format!(
                "the role needs TRIGGER on {}, to own a table that the watch leaves, and CREATE on schema rowbell; run \
                 it as their owner, or have a DBA run `rowbell watch --print`",
                tables.join(", ")
            );
            let oids: Vec<u32> = table.parts.iter().map(|part| part.oid).collect();
            Err(explain(client, &table.watch, &oids, needed, error).await)
        }
    }
}

async fn write(tx: &Transaction<'_>, statements: &[String]) -> Result<(), tokio_postgres::Error> {
    tx.batch_execute(LOCK_TIMEOUT).await?;
    tx.batch_execute("set local check_function_bodies = off").await?;
    for statement in statements {
        tx.batch_execute(statement).await?;
    }
    Ok(())
}

/// Removes triggers and function of a watch, from whatever tables they are on. Says which tables.
pub async fn remove(client: &mut Client, watch: &str) -> Result<Vec<String>, CaptureError> {
    let found = triggers_of(client, watch).await?;
    let tables: Vec<String> = found.iter().map(|found| found.table.clone()).collect();
    let mut statements = vec![LOCK_TIMEOUT.to_owned()];
    statements.extend(removal_of(watch, &found));
    let tx = client.transaction().await?;
    if let Err(error) = tx.batch_execute(&statements.join(";\n")).await {
        tx.rollback().await?;
        let oids: Vec<u32> = found.iter().map(|found| found.oid).collect();
        let needed = format!(
            "only the owner of {} may remove its trigger; have them run `rowbell unwatch --print`",
            tables.join(", ")
        );
        return Err(explain(client, watch, &oids, needed, error).await);
    }
    tx.commit().await?;
    Ok(tables)
}

/// What `unwatch --print` shows.
pub async fn removal(client: &Client, watch: &str) -> Result<String, CaptureError> {
    Ok(removal_of(watch, &triggers_of(client, watch).await?).join("\n"))
}

fn removal_of(watch: &str, found: &[CaptureTrigger]) -> Vec<String> {
    let mut statements: Vec<String> = found.iter().map(CaptureTrigger::drop_sql).collect();
    statements.push(format!("drop function if exists {}();", function_name(watch)));
    statements
}

/// Changes that wait for a watch which is not in the configuration any more: nobody takes them. Says how many there
/// were.
pub async fn drop_changes(client: &Client, watch: &str) -> Result<u64, tokio_postgres::Error> {
    let gone = client.execute("delete from rowbell.change where watch = $1", &[&watch]).await?;
    client.execute("delete from rowbell.large_transaction where watch = $1", &[&watch]).await?;
    Ok(gone)
}

/// When a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Firing {
    ForWriters,
    ForReplication,
    Always,
    Never,
}

impl Firing {
    /// As `pg_trigger.tgenabled` says it.
    fn of(letter: &str) -> Firing {
        match letter {
            "A" => Firing::Always,
            "R" => Firing::ForReplication,
            "D" => Firing::Never,
            _ => Firing::ForWriters,
        }
    }

    /// What somebody chose on purpose, as `alter table` says it.
    fn kept(self) -> Option<&'static str> {
        match self {
            Firing::Always => Some("always"),
            Firing::ForReplication => Some("replica"),
            Firing::ForWriters | Firing::Never => None,
        }
    }
}

/// A trigger of ours, as the catalog has it.
#[derive(Clone, Debug)]
pub struct CaptureTrigger {
    pub watch: String,
    /// Quoted and qualified.
    pub table: String,
    oid: u32,
    name: String,
    arguments: Vec<String>,
    operations: Vec<Operation>,
    firing: Firing,
}

impl CaptureTrigger {
    fn fits(&self, table: &WatchedTable, watch: &Watch) -> bool {
        self.arguments == arguments(table, watch)
            && self.operations == table.fires_for(watch)
            && self.firing != Firing::Never
    }

    fn drop_sql(&self) -> String {
        format!("drop trigger if exists {} on {};", quote(&self.name), self.table)
    }
}

/// Every trigger of ours in the database, on whatever table.
pub async fn triggers(client: &Client) -> Result<Vec<CaptureTrigger>, tokio_postgres::Error> {
    let query = include_str!("../../../sql/queries/capture/capture_triggers.sql");
    let rows = client.query(query, &[]).await?;
    rows.iter()
        .map(|row| {
            let arguments: Vec<u8> = row.try_get("arguments")?;
            let texts = arguments.split(|byte| *byte == 0);
            let arguments: Vec<String> =
                texts.map(|text| String::from_utf8_lossy(text).into_owned()).take(5).collect();
            let bits: i32 = row.try_get("events")?;
            // Bits of pg_trigger.tgtype: 4 insert, 8 delete, 16 update.
            let events = [(4, Operation::Insert), (16, Operation::Update), (8, Operation::Delete)];
            Ok(CaptureTrigger {
                watch: arguments.first().cloned().unwrap_or_default(),
                table: row.try_get("table_name")?,
                oid: row.try_get("table_oid")?,
                name: row.try_get("trigger_name")?,
                arguments,
                operations: events
                    .iter()
                    .filter(|(bit, _)| bits & bit != 0)
                    .map(|(_, o)| *o)
                    .collect(),
                firing: Firing::of(row.try_get("firing")?),
            })
        })
        .collect()
}

async fn triggers_of(
    client: &Client,
    watch: &str,
) -> Result<Vec<CaptureTrigger>, tokio_postgres::Error> {
    let all = triggers(client).await?;
    Ok(all.into_iter().filter(|trigger| trigger.watch == watch).collect())
}

/// Whether the watch has a trigger on its table, in whatever shape.
pub async fn is_installed(
    client: &Client,
    table: &WatchedTable,
) -> Result<bool, tokio_postgres::Error> {
    Ok(triggers_of(client, &table.watch).await?.iter().any(|found| found.oid == table.oid))
}

/// Whether changes of the table and all that inherit from it are captured for its watch.
pub fn captures(triggers: &[CaptureTrigger], table: &WatchedTable) -> bool {
    let fires = |oid: u32| {
        triggers.iter().any(|trigger| {
            trigger.watch == table.watch
                && trigger.oid == oid
                && !matches!(trigger.firing, Firing::Never | Firing::ForReplication)
        })
    };
    table.parts.iter().all(|part| fires(part.oid))
}

/// What is installed differently from what the configuration asks for.
pub async fn drift(
    client: &Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let found = triggers_of(client, &table.watch).await?;
    let mut drift = Vec::new();
    for part in &table.parts {
        let trigger = found.iter().find(|found| found.oid == part.oid);
        drift.extend(part_drift(table, watch, part, trigger));
    }
    let is_stray =
        |trigger: &&CaptureTrigger| table.parts.iter().all(|part| part.oid != trigger.oid);
    drift.extend(found.iter().filter(is_stray).map(|trigger| {
        let what = format!(
            "it also has a trigger on {}, whose changes are told to nobody; run `rowbell watch`, which takes it off",
            trigger.table
        );
        Finding::new("", what).rowbell(format!("watch {}", table.watch))
    }));
    if !found.is_empty() && drift.is_empty() && is_function_changed(client, table, watch).await? {
        let what = "its function is not the one that this rowbell makes for the table as it is now; run `rowbell watch`";
        drift.push(Finding::new("", what).rowbell(format!("watch {}", table.watch)));
    }
    if is_row_security_active(client, table).await? {
        let what = format!(
            "row level security of {} may hide rows from this role, so that none is read; {WAY_PAST_ROW_SECURITY}",
            table.table
        );
        let role = client.query_one("select quote_ident(current_user)", &[]).await?;
        let role: String = role.try_get(0)?;
        drift.push(Finding::new("", what).sql(format!("alter role {role} bypassrls")));
    }
    Ok(drift)
}

/// What is wrong with the trigger on one table.
fn part_drift(
    table: &WatchedTable,
    watch: &Watch,
    part: &TablePart,
    trigger: Option<&CaptureTrigger>,
) -> Option<Finding> {
    let name = &part.table;
    let renew = |what: String| Finding::new("", what).rowbell(format!("watch {}", table.watch));
    let enable = |what: String, trigger: &CaptureTrigger| {
        let trigger = quote(&trigger.name);
        Finding::new("", what).sql(format!("alter table {name} enable trigger {trigger}"))
    };
    match trigger {
        None if part.oid == table.oid => {
            Some(renew(format!("{name} has no trigger for it; run `rowbell watch`")))
        }
        None => Some(renew(format!(
            "{name}, which inherits from {}, has no trigger for it; run `rowbell watch`",
            table.table
        ))),
        Some(trigger) if trigger.firing == Firing::Never => Some(enable(
            format!("its trigger on {name} is disabled; alter table … enable trigger"),
            trigger,
        )),
        Some(trigger) if trigger.firing == Firing::ForReplication => Some(enable(
            format!(
                "its trigger on {name} fires for replicated changes only; alter table … enable trigger, or enable \
                 always trigger"
            ),
            trigger,
        )),
        Some(trigger)
            if !trigger.fits(table, watch) || trigger.name != trigger_name(&table.watch) =>
        {
            Some(renew(format!(
                "its trigger on {name} is of an earlier configuration; run `rowbell watch`"
            )))
        }
        Some(_) => None,
    }
}

/// Whether the function does something else than the one that `install` would make.
async fn is_function_changed(
    client: &Client,
    table: &WatchedTable,
    watch: &Watch,
) -> Result<bool, tokio_postgres::Error> {
    let query = include_str!("../../../sql/queries/capture/capture_function.sql");
    let name = format!("{}()", function_name(&table.watch));
    let Some(row) = client.query_opt(query, &[&name]).await? else { return Ok(false) };
    let (source, settings, is_definer): (String, Vec<String>, bool) =
        (row.try_get("source")?, row.try_get("settings")?, row.try_get("is_definer")?);
    let is_same = function_sql(table, watch).contains(&source)
        && settings == function_settings(table)
        && is_definer;
    Ok(!is_same)
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
            let blockers = BlockingSessions::on(client, Some(tables)).await;
            CaptureError::Locked { watch, blockers }
        }
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            CaptureError::Privilege { watch, needed, source: error }
        }
        _ => CaptureError::Query(error),
    }
}
