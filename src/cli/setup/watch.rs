//! `rowbell watch` and `rowbell unwatch`: the triggers come and go.

use clap::Args;

use crate::cli::connection::connect;
use crate::cli::error::CliError;
use crate::config::{Config, Watch};
use crate::finding::hint;
use crate::postgres::capture::install::{self, Installed, WatchedTable};
use crate::postgres::capture::proof;
use crate::postgres::schema::roles::{self, Reader};

#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Watches of the configuration; all of them when none is named.
    names: Vec<String>,
    /// Print the SQL for a DBA to run, and change nothing.
    #[arg(long)]
    print: bool,
}

/// Installs triggers.
pub async fn watch(args: &WatchArgs, config: &Config) -> Result<(), CliError> {
    let mut client = connect(config).await?;
    let mut queries = Vec::new();
    for (name, watch) in chosen(args, config)? {
        let table = look_up(&client, config, name, watch).await?;
        queries.extend(proof::statements(&table, watch));
        if args.print {
            let plan = install::plan(&client, &table, watch).await.map_err(anyhow::Error::from)?;
            println!("-- watch {name}\n{}\n", plan.statements.join("\n\n"));
            continue;
        }
        let done =
            install::install(&mut client, &table, watch).await.map_err(anyhow::Error::from)?;
        let said = match done.installed {
            Installed::New => "now records changes of",
            Installed::Replaced => "was renewed and records changes of",
            Installed::Unchanged => "records changes of",
        };
        println!("watch {name} {said} {}", table.table);
        for heir in table.parts.iter().skip(1) {
            println!("  and of {}, which inherits from it", heir.table);
        }
        for left in &done.taken_off {
            println!("  its trigger on {left} was taken off");
        }
        if done.is_replica_only {
            println!("  its trigger fires for replicated changes only, as somebody chose");
        }
        if install::has_row_security(&client, &table).await.map_err(anyhow::Error::from)? {
            let way = install::WAY_PAST_ROW_SECURITY;
            println!(
                "  it has row level security, which hides rows from other roles than its owner;"
            );
            println!("  for the role of the daemon: {way}");
        }
    }
    let grants = roles::missing_grants(&mut client, &queries, Reader::Daemon)
        .await
        .map_err(anyhow::Error::from)?;
    match (grants.is_empty(), args.print) {
        (true, _) => {}
        (false, true) => println!("-- what the daemon reads\n{}", roles::block(&grants)),
        (false, false) => println!("\n{}\n{}", roles::REQUEST, roles::block(&grants)),
    }
    Ok(())
}

/// Removes triggers, wherever they are. Works for watches that are no longer in the configuration too: what they
/// recorded goes as well, as nobody would take it.
pub async fn unwatch(args: &WatchArgs, config: &Config) -> Result<(), CliError> {
    let mut client = connect(config).await?;
    let all = config.watch.keys().cloned().collect();
    let names: &Vec<String> = if args.names.is_empty() { &all } else { &args.names };
    for name in names {
        if args.print {
            let removal = install::removal(&client, name).await.map_err(anyhow::Error::from)?;
            println!("-- unwatch {name}\n{removal}\n");
            continue;
        }
        let tables = install::remove(&mut client, name).await.map_err(anyhow::Error::from)?;
        match tables.is_empty() {
            true => println!("watch {name} had no trigger"),
            false => println!(
                "watch {name} records nothing of {} any more; what it recorded stays",
                tables.join(", ")
            ),
        }
        if !config.watch.contains_key(name) {
            let dropped =
                install::drop_changes(&client, name).await.map_err(anyhow::Error::from)?;
            if dropped > 0 {
                println!(
                    "  {dropped} changes that waited for it are gone: it is not in the configuration"
                );
            }
        }
    }
    Ok(())
}

async fn look_up(
    client: &tokio_postgres::Client,
    config: &Config,
    name: &str,
    watch: &Watch,
) -> Result<WatchedTable, CliError> {
    let template = config.template.get(&watch.template).ok_or_else(|| {
        anyhow::anyhow!("watch.{name}.template: there is no template \"{}\"", watch.template)
    })?;
    Ok(install::describe(client, name, watch, template).await.map_err(anyhow::Error::from)?)
}

fn chosen<'a>(
    args: &'a WatchArgs,
    config: &'a Config,
) -> Result<Vec<(&'a str, &'a Watch)>, CliError> {
    if args.names.is_empty() {
        return Ok(config.watch.iter().map(|(name, watch)| (name.as_str(), watch)).collect());
    }
    let known: Vec<&str> = config.watch.keys().map(String::as_str).collect();
    args.names
        .iter()
        .map(|name| match config.watch.get_key_value(name) {
            Some((name, watch)) => Ok((name.as_str(), watch)),
            None => {
                Err(anyhow::anyhow!("there is no watch \"{name}\"{}", hint(name, &known)).into())
            }
        })
        .collect()
}
