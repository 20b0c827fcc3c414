//! The figures of /metrics that only the database knows.

use std::time::Duration;

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;
use tokio_postgres::Error;

use crate::postgres::connection::statement::{FromRows, named, row};

/// How long the server may work on the figures. A million messages in the queue take a fifth of that.
const WORK: Duration = Duration::from_secs(2);

row! {
    /// One figure: the metric, and the values of its labels as far as it has any.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Figure {
        pub metric: String,
        pub channel: Option<String>,
        /// Of the second label, whatever that is.
        pub word: Option<String>,
        pub value: f64,
    }
}

/// What the figures are about.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub now: Timestamp,
    pub channels: &'a [&'a str],
    pub watches: &'a [&'a str],
    /// How long a lease holds.
    pub lease: Duration,
}

/// Reads them in a transaction of their own, which changes nothing.
pub async fn read(client: &mut Client, scope: Scope<'_>) -> Result<Vec<Figure>, Error> {
    let tx = client.build_transaction().read_only(true).start().await?;
    let settings = format!(
        "set local statement_timeout = {}; set local enable_seqscan = on; set local max_parallel_workers_per_gather = 0",
        WORK.as_millis()
    );
    tx.batch_execute(&settings).await?;
    let figures = metrics_read(&tx, scope).await?;
    tx.commit().await?;
    Ok(figures)
}

async fn metrics_read(tx: &Transaction<'_>, scope: Scope<'_>) -> Result<Vec<Figure>, Error> {
    let Scope { now, channels, watches, lease } = scope;
    let rows =
        named!(tx, "status/metrics_read", &[&now, &channels, &watches, &lease.as_secs_f64()])?;
    FromRows::from_rows(&rows)
}
