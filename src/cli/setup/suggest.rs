//! `rowbell suggest <table>`: looks at a table and writes a watch for it.

use clap::Args;

use crate::cli::error::CliError;
use crate::config::Config;
use crate::config::Database;
use crate::config::load::{self, LoadError};
use crate::finding::hint;
use crate::postgres::connection::pool::{self, Client};
use crate::suggest::catalog;
use crate::suggest::recipient_path::{mail_paths, recipient_paths};
use crate::suggest::suggestion::Suggestion;

#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// The table, as PostgreSQL writes it: public.delivery, '"Order"'.
    table: String,
    /// URL of the database, where there is no configuration yet.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Channel that sends; the first of the configuration, or main.
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// Template that is sent; the first of the configuration, or `service_change`.
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
}

/// Prints the watch.
pub async fn run(
    args: &SuggestArgs,
    config: impl FnOnce() -> Result<Config, LoadError>,
) -> Result<(), CliError> {
    let (database, channel, template) = match &args.database {
        Some(url) => (database(url)?, None, None),
        None => {
            let config = config()?;
            let first = |mut names: Vec<&String>| names.drain(..).next().cloned();
            let channel = first(config.channel.keys().collect());
            let template = first(config.template.keys().collect());
            (config.database, channel, template)
        }
    };
    let channel = args.channel.clone().or(channel);
    let template = args.template.clone().or(template);
    let client = connect(&database).await?;
    let text = watch_for(
        &client,
        &args.table,
        channel.as_deref().unwrap_or("main"),
        template.as_deref().unwrap_or("service_change"),
    )
    .await?;
    print!("{text}");
    Ok(())
}

/// The settings of a database that has no configuration yet.
pub fn database(url: &str) -> Result<Database, CliError> {
    let mut database = load::from_text("")?.database;
    url.clone_into(&mut database.url);
    Ok(database)
}

/// A connection; rowbell need not be installed there.
pub async fn connect(database: &Database) -> Result<Client, CliError> {
    let pool = pool::connect(database)?;
    Ok(pool::get(&pool).await?)
}

/// The watch for a table, as it stands in a file.
pub async fn watch_for(
    client: &tokio_postgres::Client,
    table: &str,
    channel: &str,
    template: &str,
) -> Result<String, CliError> {
    let mut tables = catalog::survey(client).await.map_err(anyhow::Error::from)?;
    let found = catalog::find(client, table).await.map_err(anyhow::Error::from)?;
    let Some(own) = found.and_then(|oid| tables.get_mut(&oid)) else {
        let names: Vec<&str> = tables.values().map(|table| table.quoted.as_str()).collect();
        let wanted = if table.contains('.') { table.to_owned() } else { format!("public.{table}") };
        let hint = hint(&wanted, &names);
        return Err(anyhow::anyhow!("there is no table {table} that can be watched{hint}").into());
    };
    if own.key.is_empty() && own.uniques.is_empty() {
        return Err(anyhow::anyhow!(
            "{} has neither a primary key nor a unique index, so its rows cannot be told apart; add one",
            own.quoted
        )
        .into());
    }
    catalog::see_values(client, own).await.map_err(anyhow::Error::from)?;
    let oid = own.oid;
    catalog::see_contacts(client, &mut tables).await.map_err(anyhow::Error::from)?;
    let Some(own) = tables.get(&oid) else { return Err(CliError::FAILED) };
    let mut recipient_paths = recipient_paths(own, &tables);
    if recipient_paths.is_empty() {
        recipient_paths = mail_paths(own, &tables);
    }
    let Some((path, others)) = recipient_paths.split_first() else {
        return Err(anyhow::anyhow!(
            "found nobody to tell: neither {} nor a table that its foreign keys lead to has a column that looks \
             like a phone or a mail address; write the watch by hand, `rowbell config default` shows how",
            own.quoted
        )
        .into());
    };
    let suggestion = Suggestion { table: own, tables: &tables, path, others, channel, template };
    Ok(suggestion.text())
}
