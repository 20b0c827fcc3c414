//! What the first view of the page asks besides the status.

use jiff::Timestamp;
use tokio_postgres::{Client, Error};

use crate::postgres::connection::statement::{FromRows, row, text};

row! {
    /// What happened within one minute of the last hour.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MinuteCounts {
        pub minutes_ago: i32,
        pub changes: i64,
        pub sent: i64,
        pub delivered: i64,
        pub failed: i64,
    }
}

/// The last hour, oldest minute first. Minutes in which nothing happened are absent.
pub async fn last_hour(client: &Client, now: Timestamp) -> Result<Vec<MinuteCounts>, Error> {
    FromRows::from_rows(&client.query(text!("page/page_strip"), &[&now]).await?)
}

/// Attempts within the last minute, by channel.
pub async fn attempts_a_minute(
    client: &Client,
    now: Timestamp,
) -> Result<Vec<(String, i64)>, Error> {
    FromRows::from_rows(&client.query(text!("page/page_rate"), &[&now]).await?)
}
