//! What surrounds a table: the one that it is a partition of, whether a crash empties it, and whether transactions are
//! prepared.

use tokio_postgres::{Client, Error};

use crate::postgres::capture::table::WatchedTable;

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
