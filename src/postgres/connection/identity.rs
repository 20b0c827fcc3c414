//! Which database this is, and for which it was installed.

use jiff::Timestamp;
use tokio_postgres::{Client, Error};

/// What tells one database from its copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Identity {
    pub environment: Option<String>,
    pub system_identifier: Option<String>,
    pub database_oid: Option<u32>,
}

/// The identifier of the server's data, which every copy by dump and restore leaves behind. None where
/// it may not be read.
pub async fn system_identifier(client: &Client) -> Result<Option<String>, Error> {
    let may = "select has_function_privilege('pg_catalog.pg_control_system()', 'execute')";
    if !client.query_one(may, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let query = "select system_identifier::text from pg_catalog.pg_control_system()";
    Ok(Some(client.query_one(query, &[]).await?.try_get(0)?))
}

/// Writes down for whom this database sends, unless somebody did before.
pub async fn claim(
    client: &Client,
    environment: &str,
    system_identifier: Option<&str>,
) -> Result<(), Error> {
    let installed = "select environment is not null from rowbell.installation";
    let is_known = client.query_opt(installed, &[]).await?.is_none_or(|row| row.get(0));
    if is_known {
        return Ok(());
    }
    adopt(client, environment, system_identifier).await
}

/// Writes down that this database, on this server, sends for this environment.
pub async fn adopt(
    client: &Client,
    environment: &str,
    system_identifier: Option<&str>,
) -> Result<(), Error> {
    client
        .execute(
            include_str!("../../../sql/queries/gate/copy_adopt.sql"),
            &[&environment, &system_identifier],
        )
        .await?;
    Ok(())
}

/// Whether this database is a copy of the one that sends for this environment.
pub async fn is_copy(
    client: &Client,
    environment: &str,
    system_identifier: Option<&str>,
) -> Result<bool, Error> {
    let query = include_str!("../../../sql/queries/gate/copy_read.sql");
    client.query_one(query, &[&environment, &system_identifier]).await?.try_get("is_copy")
}

/// The time by the clock of the server, at this moment and not at the beginning of a transaction.
pub async fn server_time(client: &Client) -> Result<Timestamp, Error> {
    let row = client.query_typed("select pg_catalog.clock_timestamp()", &[]).await?;
    // There is one.
    row.first().map_or(Ok(Timestamp::UNIX_EPOCH), |row| row.try_get(0))
}
