//! What surrounds a table: the one that it is a partition of, whether a crash empties it, who fills it, and whether
//! transactions are prepared.

use tokio_postgres::{Client, Error};

use crate::postgres::capture::table::WatchedTable;
use crate::postgres::capture::trigger::trigger_name;

/// The table that a partition belongs to in the end; None: the table is no partition. A row that moves out of it into
/// another partition is deleted, as far as its triggers see.
pub async fn root(client: &Client, table: &WatchedTable) -> Result<Option<String>, Error> {
    let query = "select format('%I.%I', n.nspname, r.relname)
                   from pg_class as c
                   join pg_class as r on r.oid = pg_partition_root(c.oid)
                   join pg_namespace as n on n.oid = r.relnamespace
                  where c.oid = $1 and c.relispartition";
    client.query_opt(query, &[&table.oid]).await?.map(|row| row.try_get(0)).transpose()
}

/// Whether transactions may be prepared (two-phase commit), in which triggers cannot ring.
pub async fn may_be_prepared(client: &Client) -> Result<bool, Error> {
    let query = "select current_setting('max_prepared_transactions') <> '0'";
    client.query_one(query, &[]).await?.try_get(0)
}

/// Whether a crash of the server empties the table.
pub async fn is_unlogged(client: &Client, table: &WatchedTable) -> Result<bool, Error> {
    let query = "select c.relpersistence = 'u' from pg_class as c where c.oid = $1";
    client.query_one(query, &[&table.oid]).await?.try_get(0)
}

/// The tables that get their rows by logical replication, for which our trigger does not fire.
pub async fn unfired_replicas(client: &Client, table: &WatchedTable) -> Result<Vec<String>, Error> {
    let query = "select format('%I.%I', n.nspname, c.relname)
                   from pg_subscription_rel as s
                   join pg_class as c on c.oid = s.srrelid
                   join pg_namespace as n on n.oid = c.relnamespace
                   join pg_trigger as t on t.tgrelid = c.oid and t.tgname = $2 and t.tgenabled = 'O'
                  where c.oid = any ($1)
                     or c.oid in (select p.relid from unnest($1) as part (oid), pg_partition_tree(part.oid) as p)
                  order by 1";
    let parts: Vec<u32> = table.parts.iter().map(|part| part.oid).collect();
    let rows = client.query(query, &[&parts, &trigger_name(&table.watch)]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
