//! How everything stands, read once for all who look at that moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::{Client, Error};

use crate::config::Config;
use crate::postgres::operations::status_report::{Status, status};
use crate::postgres::page::overview::{self, MinuteCounts};

/// How old what is shown may be. However many look, the database is asked no more often.
pub const FRESH: Duration = Duration::from_secs(2);

/// How everything stands at one moment.
pub struct Snapshot {
    pub status: Status,
    /// Oldest minute first.
    pub last_hour: Vec<MinuteCounts>,
    /// Attempts within the last minute, by channel.
    pub attempts: BTreeMap<String, i64>,
}

impl Snapshot {
    pub async fn read(client: &Client, config: &Config, now: Timestamp) -> Result<Snapshot, Error> {
        Ok(Snapshot {
            status: status(client, config, now).await?,
            last_hour: overview::last_hour(client, now).await?,
            attempts: overview::attempts_a_minute(client, now).await?.into_iter().collect(),
        })
    }
}

/// The latest one, if it was read.
#[derive(Default)]
pub struct LatestSnapshot(Option<Arc<Snapshot>>);

impl LatestSnapshot {
    pub fn fresh(&self, now: Timestamp) -> Option<Arc<Snapshot>> {
        let latest = self.0.as_ref()?;
        let age = now.duration_since(latest.status.taken_at);
        (!age.is_negative() && age.unsigned_abs() < FRESH).then(|| latest.clone())
    }

    pub fn keep(&mut self, snapshot: Arc<Snapshot>) {
        self.0 = Some(snapshot);
    }
}
