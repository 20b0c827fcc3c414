//! `[storm]` and `[watch.X.storm]`: how many rows may change at once before a person is asked.

use serde::Deserialize;

use crate::config::Config;

/// Rows of one watch whose messages leave without a question. 0: any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// Changed by one transaction.
    pub transaction: usize,
    /// Changed within a minute.
    pub minute: usize,
}

/// What a watch says of it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchStorm {
    pub transaction: Option<usize>,
    pub minute: Option<usize>,
}

impl Config {
    /// The limits of a watch.
    pub fn storm_of(&self, watch: &str) -> Storm {
        let own = self.watch.get(watch).map(|watch| watch.storm).unwrap_or_default();
        Storm {
            transaction: own.transaction.unwrap_or(self.storm.transaction),
            minute: own.minute.unwrap_or(self.storm.minute),
        }
    }
}
