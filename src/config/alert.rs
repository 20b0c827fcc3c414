//! Whom to tell what needs a person.

use std::time::Duration;

use serde::Deserialize;

use crate::domain::alert::AlertKind;

/// `[alert]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertSettings {
    /// The channel by which it is told; empty: nobody is.
    pub channel: String,
    /// Phones, or mail addresses.
    pub to: Vec<String>,
    /// On a WhatsApp channel, the template: its only variable is what is told.
    pub template: String,
    pub about: Vec<AlertKind>,
    /// How long a message is due before the queue is late.
    pub late_after: Duration,
    /// How long something must be over before that is told.
    pub over_after: Duration,
    pub look_every: Duration,
}

impl AlertSettings {
    pub fn is_on(&self) -> bool {
        !self.channel.is_empty()
    }
}
