//! Which daemons there are, and a person's word on which of them sends on a channel.

use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::{Client, Error};

use crate::postgres::connection::session::ring_for_channels;
use crate::postgres::connection::statement::{FromRows, row, text};

row! {
    /// A daemon that runs on this database.
    #[derive(Clone, Debug, Serialize)]
    pub struct RunningDaemon {
        pub instance: String,
        pub name: String,
        /// The channels of its configuration.
        pub channels: Vec<String>,
        pub started_at: Timestamp,
    }
}

/// The daemons that live, the first one first.
pub async fn daemons(client: &Client, now: Timestamp) -> Result<Vec<RunningDaemon>, Error> {
    let rows = client.query(text!("status/status_daemons"), &[&now]).await?;
    FromRows::from_rows(&rows)
}

/// Gives a channel to a daemon.
pub async fn assign(client: &Client, channel: &str, instance: &str) -> Result<(), Error> {
    client.execute(text!("channel_lease/channel_lease_assign"), &[&channel, &instance]).await?;
    ring_for_channels(client).await
}

/// Who sends on a channel now.
pub async fn sender(client: &Client, channel: &str) -> Result<Option<String>, Error> {
    let holders = text!("channel_lease/channel_lease_holders");
    let row = client.query_one(holders, &[&vec![channel]]).await?;
    row.try_get("leased_by")
}
