//! `rowbell migrate`.

use clap::Args;

use crate::cli::error::CliError;
use crate::config::Config;
use crate::config::load::LoadError;
use crate::postgres::connection::pool;
use crate::postgres::schema::migrate;

#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Print the SQL for an empty database instead, for a DBA to run.
    #[arg(long)]
    print: bool,
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
