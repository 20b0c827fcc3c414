//! The roles of a site: made and given their rights by `sql/roles.sql`; what is still for a DBA to
//! do, as the statements that do it.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use crate::postgres::connection::statement::text;

/// Makes the roles if it may, and grants. Safe to run again.
pub const SQL: &str = include_str!("../../../sql/roles.sql");

/// The role whose rights the daemon needs.
const DAEMON: &str = "rowbell_daemon";

/// What a DBA has to run before `rowbell migrate` can grant: one statement for each missing role.
pub async fn missing(client: &Client) -> Result<Vec<String>, Error> {
    let query = "select format('create role %I nologin', name)
                   from unnest(array['rowbell_daemon', 'rowbell_analyst', 'rowbell_support']) as name
                  where not exists (select from pg_roles where rolname = name)";
    Ok(client.query(query, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// Whether we have the rights of the role of daemons, whatever those are.
pub async fn is_daemon(client: &Client) -> bool {
    let query =
        "select exists (select from pg_roles where rolname = $1 and pg_has_role(oid, 'usage'))";
    client.query_one(query, &[&DAEMON]).await.is_ok_and(|row| row.get(0))
}

/// Whose rights are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The role of daemons, by whoever installs their triggers.
    Daemon,
    /// Whoever asks: the daemon itself, before it starts.
    Me,
}

/// The grants that are still needed to run these queries: each table, view and function that they name.
/// Empty where that role does not exist: then the daemon runs as somebody else, who is not ours to know.
///
/// The server itself says what a query needs, when a view is made of it; nothing of that stays. Of a query that names a
/// schema which is closed to us, the schema is all that can be said. One that cannot be read for another reason, such as
/// a table that is missing, is passed over: whoever tries the query hears why.
pub async fn missing_grants(
    client: &mut Client,
    queries: &[String],
    reader: Reader,
) -> Result<Vec<String>, Error> {
    let tx = client.transaction().await?;
    let query = "select current_user::text,
                        exists (select from pg_roles where rolname = $1 and pg_has_role(oid, 'usage'))";
    let row = tx.query_one(query, &[&DAEMON]).await?;
    let (me, is_daemon): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
    let (who, grantee) = match reader {
        Reader::Daemon => (DAEMON, DAEMON),
        Reader::Me if is_daemon => (me.as_str(), DAEMON),
        Reader::Me => (me.as_str(), me.as_str()),
    };
    let (mut views, mut closed) = (Vec::new(), Vec::new());
    for (place, query) in queries.iter().enumerate() {
        let view = format!("rowbell_needs_{place}");
        let made = format!(
            "savepoint needs; create temporary view {view} as select 1 as one from (\n{query}\n) as query"
        );
        match tx.batch_execute(&made).await {
            Ok(()) => views.push(view),
            Err(error) if error.code().is_some() => {
                tx.batch_execute("rollback to savepoint needs").await?;
                if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
                    closed.push(query);
                }
            }
            Err(error) => return Err(error),
        }
    }
    let mut found = tx.query(text!("capture/closed_schemas"), &[&closed, &who, &grantee]).await?;
    found.extend(tx.query(text!("capture/missing_grants"), &[&views, &who, &grantee]).await?);
    tx.rollback().await?;
    Ok(found.iter().map(|row| row.get(0)).collect())
}

/// Statements to copy, one a line.
pub fn block(grants: &[String]) -> String {
    grants.iter().map(|grant| format!("{grant};")).collect::<Vec<_>>().join("\n")
}

/// Reading the business's tables is for their owners to grant, not for us. The grants follow.
pub const REQUEST: &str = "the daemon may not read all that the watches need; have the owners run";
