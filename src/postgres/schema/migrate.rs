//! Brings the schema up to date: each migration once, in order, in its own transaction; then roles
//! and their rights, every time.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::postgres::schema::blocking_sessions::{BlockingSessions, LOCK_TIMEOUT};
use crate::postgres::schema::migration_plan::{self, PlannedMigration};
use crate::postgres::schema::roles;

/// The migrations, in the order in which data flows. Their number is the schema version.
const MIGRATIONS: &[(&str, &str)] = &[
    ("01_schema", include_str!("../../../sql/migrations/01_schema.sql")),
    ("02_capture", include_str!("../../../sql/migrations/02_capture.sql")),
    ("03_message", include_str!("../../../sql/migrations/03_message.sql")),
    ("04_attempt", include_str!("../../../sql/migrations/04_attempt.sql")),
    ("05_channel", include_str!("../../../sql/migrations/05_channel.sql")),
    ("06_reconcile", include_str!("../../../sql/migrations/06_reconcile.sql")),
    ("07_report", include_str!("../../../sql/migrations/07_report.sql")),
    ("08_person_act", include_str!("../../../sql/migrations/08_person_act.sql")),
    ("09_outcome_hook", include_str!("../../../sql/migrations/09_outcome_hook.sql")),
    ("10_outgoing_webhook", include_str!("../../../sql/migrations/10_outgoing_webhook.sql")),
    ("11_reply", include_str!("../../../sql/migrations/11_reply.sql")),
    ("12_alert", include_str!("../../../sql/migrations/12_alert.sql")),
    ("13_day", include_str!("../../../sql/migrations/13_day.sql")),
];

/// Writes down what the migrations made, for `doctor` to find later what is gone or was changed.
const RECORD: &str = "delete from rowbell.schema_object;
insert into rowbell.schema_object (kind, name, definition)
select kind, name, definition from rowbell.schema_object_now;";

/// Held while migrating, so that two of us never migrate at once.
const MIGRATE_LOCK: i64 = 0x726f_7762_656c_6c02;

/// Why the schema cannot be used or brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("migration {name} failed{hint}; nothing of it was applied")]
    Migration { name: &'static str, hint: &'static str, source: tokio_postgres::Error },
    #[error("migration {name} was not applied, nor anything of it: {blockers}")]
    Locked { name: &'static str, blockers: BlockingSessions },
    #[error("the roles could not be given their rights; the schema itself is up to date")]
    Roles(#[source] tokio_postgres::Error),
    #[error("there is no schema rowbell in this database; run `rowbell migrate` first")]
    Missing,
    #[error("the schema is version {found}, this rowbell needs {needed}; run `rowbell migrate`")]
    Older { found: i32, needed: i32 },
    #[error(
        "the schema is version {found}, newer than the {known} that this rowbell knows; update rowbell"
    )]
    Newer { found: i32, known: i32 },
    #[error(
        "the schema is version {found} and serves daemons from version {oldest} on; this rowbell knows version {known} and \
         is too old: update rowbell"
    )]
    TooOld { found: i32, oldest: i32, known: i32 },
    #[error(
        "the role may not use schema rowbell; have its owner run: grant rowbell_daemon to {}", role.as_deref().unwrap_or("…")
    )]
    NoRight { role: Option<String> },
    #[error(
        "this database is in {0}, which cannot hold every name and word that a message may have; rowbell needs a \
         database in UTF8"
    )]
    Encoding(String),
    #[error("could not ask for the schema version")]
    Query(#[from] tokio_postgres::Error),
}

/// The oldest version whose daemons each migration leaves at work, by its number. A migration that only adds serves
/// those of the version before it; one that takes away what they use serves its own alone. Nothing was released before
/// the last one here, so each serves its own.
fn oldest_daemon(number: i32) -> i32 {
    number
}

/// What `migrate` did.
#[derive(Debug, PartialEq, Eq)]
pub struct Applied {
    /// The migrations that were missing, in order.
    pub names: Vec<&'static str>,
    /// The schema version now.
    pub version: i32,
    /// What a DBA has to run, and migrate after it, because we may not create roles.
    pub missing_roles: Vec<String>,
}

/// The schema version of this program.
pub fn known_version() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// Applies what is missing. Safe to call at any time, and by several at once.
pub async fn migrate(client: &mut Client) -> Result<Applied, MigrateError> {
    client.execute("select pg_advisory_lock($1)", &[&MIGRATE_LOCK]).await?;
    let done = apply_missing(client).await;
    client.execute("select pg_advisory_unlock($1)", &[&MIGRATE_LOCK]).await?;
    done
}

async fn apply_missing(client: &mut Client) -> Result<Applied, MigrateError> {
    let encoding: String = client.query_one("show server_encoding", &[]).await?.try_get(0)?;
    if encoding != "UTF8" {
        return Err(MigrateError::Encoding(encoding));
    }
    let found = version(client).await?.unwrap_or(0);
    if found > known_version() {
        return Err(MigrateError::Newer { found, known: known_version() });
    }
    let mut names = Vec::new();
    for (index, (name, sql)) in
        MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0))
    {
        let number = i32::try_from(index + 1).unwrap_or(i32::MAX);
        match apply(client, sql, number).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                let blockers = BlockingSessions::on(client, None).await;
                return Err(MigrateError::Locked { name, blockers });
            }
            Err(source) => {
                return Err(MigrateError::Migration { name, hint: hint(&source), source });
            }
        }
        names.push(*name);
    }
    if !names.is_empty() {
        client.batch_execute(RECORD).await?;
    }
    let missing_roles = grant(client).await.map_err(MigrateError::Roles)?;
    Ok(Applied { names, version: known_version(), missing_roles })
}

/// What `migrate` would apply, and which tables it would lock.
pub async fn plan(client: &Client) -> Result<Vec<PlannedMigration>, MigrateError> {
    let found = version(client).await?.unwrap_or(0);
    if found > known_version() {
        return Err(MigrateError::Newer { found, known: known_version() });
    }
    let missing = MIGRATIONS.get(usize::try_from(found).unwrap_or(0)..).unwrap_or_default();
    Ok(migration_plan::plan(client, missing).await?)
}

/// A role that was made, or lost, since the last time is noticed here: roles belong to the server
/// and not to this database.
async fn grant(client: &mut Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let tx = client.transaction().await?;
    tx.batch_execute(LOCK_TIMEOUT).await?;
    tx.batch_execute(roles::SQL).await?;
    tx.commit().await?;
    roles::missing(client).await
}

async fn apply(client: &mut Client, sql: &str, number: i32) -> Result<(), tokio_postgres::Error> {
    let tx = client.transaction().await?;
    // Waiting for a lock would make the business's own statements queue up behind us.
    tx.batch_execute(LOCK_TIMEOUT).await?;
    tx.batch_execute(sql).await?;
    tx.execute(
        "insert into rowbell.installation (schema_version, oldest_daemon) values ($1, $2)
         on conflict (is_only) do update set schema_version = $1, oldest_daemon = $2, updated_at = now()",
        &[&number, &oldest_daemon(number)],
    )
    .await?;
    tx.commit().await
}

fn hint(error: &tokio_postgres::Error) -> &'static str {
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            " (the role needs CREATE on the database, or be the owner of schema rowbell)"
        }
        Some(&SqlState::DUPLICATE_SCHEMA) => " (schema rowbell exists but was not made by rowbell)",
        _ => "",
    }
}

/// Checks that the schema serves this program: its own version, or a newer one that still serves it. So daemons of two
/// releases work side by side while they are exchanged one by one.
pub async fn check_version(client: &Client) -> Result<(), MigrateError> {
    let found = match version(client).await {
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            let role = client.query_one("select quote_ident(current_user)", &[]).await;
            return Err(MigrateError::NoRight { role: role.ok().map(|row| row.get(0)) });
        }
        found => found?,
    };
    let known = known_version();
    match found {
        None => Err(MigrateError::Missing),
        Some(found) if found < known => Err(MigrateError::Older { found, needed: known }),
        Some(found) if found > known => {
            let query = "select coalesce(oldest_daemon, schema_version) from rowbell.installation";
            let oldest: i32 = client.query_one(query, &[]).await?.try_get(0)?;
            match oldest <= known {
                true => Ok(()),
                false => Err(MigrateError::TooOld { found, oldest, known }),
            }
        }
        Some(_) => Ok(()),
    }
}

/// The schema version of the database; None when rowbell is not installed there.
pub async fn version(client: &Client) -> Result<Option<i32>, tokio_postgres::Error> {
    let installed = "select to_regclass('rowbell.installation') is not null";
    if !client.query_one(installed, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt("select schema_version from rowbell.installation", &[]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// All that `migrate` would run on an empty database, for a DBA to run instead.
pub fn script() -> String {
    let mut script = format!("begin;\n{LOCK_TIMEOUT};\n\n");
    for (_, sql) in MIGRATIONS {
        script.push_str(sql);
        script.push('\n');
    }
    script.push_str(&format!(
        "insert into rowbell.installation (schema_version, oldest_daemon) values ({}, {});\n\n{RECORD}\n\n{}\ncommit;\n",
        known_version(),
        oldest_daemon(known_version()),
        roles::SQL
    ));
    script
}
