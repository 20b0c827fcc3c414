//! The connection of a command.

use crate::cli::error::CliError;
use crate::config::Config;
use crate::postgres::connection::pool::{self, Client};
use crate::postgres::schema::migrate;

/// A connection for a command, with the schema checked.
pub async fn connect(config: &Config) -> Result<Client, CliError> {
    let pool = pool::connect(&config.database)?;
    let client = pool::get(&pool).await?;
    migrate::check_version(&client).await.map_err(anyhow::Error::from)?;
    Ok(client)
}
