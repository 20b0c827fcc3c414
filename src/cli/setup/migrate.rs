//! `rowbell migrate`.

use clap::Args;

use crate::cli::error::CliError;
use crate::config::Config;
use crate::config::load::LoadError;
use crate::postgres::connection::pool;
use crate::postgres::schema::migrate;
use crate::postgres::schema::migration_plan::{PlannedLock, PlannedMigration};

#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Print the SQL for an empty database instead, for a DBA to run.
    #[arg(long)]
    print: bool,
    /// Say what is missing, which tables it would lock and how, and change nothing.
    #[arg(long, conflicts_with = "print")]
    plan: bool,
}

pub async fn run(
    args: &MigrateArgs,
    config: impl FnOnce() -> Result<Config, LoadError>,
) -> Result<(), CliError> {
    if args.print {
        print!("{}", migrate::script());
        return Ok(());
    }
    let pool = pool::connect(&config()?.database)?;
    let mut client = pool::get(&pool).await?;
    if args.plan {
        let planned = migrate::plan(&client).await.map_err(anyhow::Error::from)?;
        print!("{}", as_text(&planned));
        return Ok(());
    }
    let applied = migrate::migrate(&mut client).await.map_err(anyhow::Error::from)?;
    for name in &applied.names {
        println!("applied {name}");
    }
    println!("the schema is version {}", applied.version);
    if !applied.missing_roles.is_empty() {
        println!("\nthis user may not create roles; where they are wanted, have a DBA run");
        println!("  {};", applied.missing_roles.join(";\n  "));
        println!("and then run `rowbell migrate` again, which gives them their rights");
    }
    Ok(())
}

fn as_text(planned: &[PlannedMigration]) -> String {
    let version = migrate::known_version();
    if planned.is_empty() {
        return format!(
            "nothing to apply: the schema is version {version}; only the rights of the roles are given anew\n"
        );
    }
    let mut text = String::new();
    for migration in planned {
        text += &format!("would apply {}\n", migration.name);
        for PlannedLock { table, mode, rows } in &migration.locks {
            text += &format!("  locks {table}: {mode}, about {}\n", counted_rows(*rows));
        }
    }
    text + &format!(
        "the schema would be version {version}\neach of them is one transaction, and waits 3 seconds at most for a lock; \
         no table of the business is locked\n"
    )
}

fn counted_rows(rows: i64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}
