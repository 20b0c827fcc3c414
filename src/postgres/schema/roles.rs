//! The roles of a site: made and given their rights by `sql/roles.sql`; what is still for a DBA to
//! do, as the statements that do it.

use tokio_postgres::{Client, Error};

/// Makes the roles if it may, and grants. Safe to run again.
pub const SQL: &str = include_str!("../../../sql/roles.sql");

/// The role whose rights the daemon needs.
const DAEMON: &str = "rowbell_daemon";

/// What a DBA has to run before `rowbell migrate` can grant: one statement for each missing role.
pub async fn missing(client: &Client) -> Result<Vec<String>, Error> {
    let query = "select format('create role %I nologin', name)
                   from unnest(array['rowbell_daemon', 'rowbell_analyst']) as name
                  where not exists (select from pg_roles where rolname = name)";
    Ok(client.query(query, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// The grants that the daemon's role still needs to read a table of the business. Empty where that
/// role does not exist: then the daemon runs as somebody else, who is not ours to know.
pub async fn missing_grants(client: &Client, table_oid: u32) -> Result<Vec<String>, Error> {
    let query = "
        select has_schema_privilege(r.oid, n.oid, 'usage'), has_table_privilege(r.oid, c.oid, 'select'),
               format('grant usage on schema %I to %I', n.nspname, r.rolname),
               format('grant select on %I.%I to %I', n.nspname, c.relname, r.rolname)
          from pg_class as c
          join pg_namespace as n on n.oid = c.relnamespace
          join pg_roles as r on r.rolname = $2
         where c.oid = $1";
    let Some(row) = client.query_opt(query, &[&table_oid, &DAEMON]).await? else {
        return Ok(Vec::new());
    };
    let (has_usage, has_select): (bool, bool) = (row.get(0), row.get(1));
    let usage = (!has_usage).then(|| row.get(2));
    let select = (!has_select).then(|| row.get(3));
    Ok(usage.into_iter().chain(select).collect())
}
