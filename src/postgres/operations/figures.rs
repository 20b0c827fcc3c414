//! What only the database knows: the figures of /metrics, and what /readyz is judged by.

use std::time::Duration;

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;
use tokio_postgres::Error;

use crate::postgres::connection::statement::{FromRows, named, row, statements};

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

row! {
    /// The first change that is not claimed yet.
    #[derive(Clone, Debug, PartialEq)]
    pub struct FirstChange {
        pub change_id: i64,
        pub watch: String,
        pub changed_at: Timestamp,
    }

    /// Whether a channel is served.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ServedChannel {
        pub channel: String,
        /// Some daemon holds the right to send on it.
        pub is_owned: bool,
        /// Why errors have stopped it, or its provider cannot be reached.
        pub stopped_by: Option<String>,
        /// When receipts came in last, or the provider answered a question for them.
        pub heard_at: Option<Timestamp>,
        /// The provider does not post to our webhook, as far as is known.
        pub is_unregistered: bool,
        /// The provider does not answer questions.
        pub is_not_answered: bool,
    }
}

statements! {
    readiness_change(tx: &Transaction<'_>, watches: &[&str])
        -> Option<FirstChange> = "readiness/readiness_change";
    metrics_endpoints(tx: &Transaction<'_>, now: Timestamp)
        -> Vec<Figure> = "outgoing_webhook/metrics_endpoints";
    readiness_channels(tx: &Transaction<'_>, now: Timestamp, channels: &[&str])
        -> Vec<ServedChannel> = "readiness/readiness_channels";
}

/// What readiness is judged by.
pub async fn readiness(
    client: &mut Client,
    scope: Scope<'_>,
) -> Result<(Option<FirstChange>, Vec<ServedChannel>), Error> {
    let tx = client.build_transaction().read_only(true).start().await?;
    let settings = format!("set local statement_timeout = {}", WORK.as_millis());
    tx.batch_execute(&settings).await?;
    let first = readiness_change(&tx, scope.watches).await?;
    let channels = readiness_channels(&tx, scope.now, scope.channels).await?;
    tx.commit().await?;
    Ok((first, channels))
}

/// What the figures are about.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub now: Timestamp,
    pub channels: &'a [&'a str],
    pub watches: &'a [&'a str],
    /// The channel of each of the watches.
    pub watch_channels: &'a [&'a str],
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
    let mut figures = metrics_read(&tx, scope).await?;
    figures.extend(metrics_endpoints(&tx, scope.now).await?);
    tx.commit().await?;
    Ok(figures)
}

async fn metrics_read(tx: &Transaction<'_>, scope: Scope<'_>) -> Result<Vec<Figure>, Error> {
    let Scope { now, channels, watches, watch_channels, lease } = scope;
    let lease = lease.as_secs_f64();
    let rows =
        named!(tx, "status/metrics_read", &[&now, &channels, &watches, &lease, &watch_channels])?;
    FromRows::from_rows(&rows)
}
