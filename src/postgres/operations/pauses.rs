//! Pauses of channels and watches, as a person begins and ends them.

use tokio_postgres::{Client, Error};

use crate::postgres::connection::statement::text;
use crate::postgres::operations::holds;

/// Stops a channel or watch. Changes are captured all the same.
pub async fn begin(
    client: &Client,
    kind: &str,
    name: &str,
    reason: Option<&str>,
) -> Result<(), Error> {
    let query = text!("operations/pause_begin");
    client.execute(query, &[&kind, &name, &reason]).await?;
    Ok(())
}

/// Lets it go on at once. Says whether it was paused, and how many circuits of errors are tried now.
pub async fn end(client: &Client, kind: &str, name: &str) -> Result<(bool, i64), Error> {
    let query = text!("operations/pause_end");
    let row = client.query_one(query, &[&kind, &name]).await?;
    holds::ring(client).await?;
    Ok((row.try_get::<_, i64>("ended")? > 0, row.try_get("tried")?))
}
