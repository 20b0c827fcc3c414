//! `[polling]`: asking the provider what became of accepted messages.

use std::time::Duration;

use serde::Deserialize;

use crate::config::units;
use crate::domain::message::poll_schedule::Asking;

/// Asking for what no receipt told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polling {
    pub enabled: bool,
    /// Questions a second and channel, apart from sending.
    #[serde(deserialize_with = "units::rate")]
    pub rate: units::Rate,
    /// How long after the acceptance the first question is asked.
    #[serde(deserialize_with = "units::duration")]
    pub first_after: Duration,
    /// What each pause is longer than the one before.
    pub factor: f64,
    #[serde(deserialize_with = "units::duration")]
    pub longest_pause: Duration,
    /// How long delivered messages are asked for their `read`.
    #[serde(deserialize_with = "units::duration")]
    pub reads_for: Duration,
    /// How long after the acceptance nothing is asked any more.
    #[serde(deserialize_with = "units::duration")]
    pub lost_after: Duration,
}

impl Polling {
    pub fn asking(&self) -> Asking {
        Asking {
            first_after: self.first_after,
            factor: self.factor,
            longest_pause: self.longest_pause,
            reads_for: self.reads_for,
            lost_after: self.lost_after,
        }
    }
}
