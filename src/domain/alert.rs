//! What an operator is told about the installation itself.

use serde::Deserialize;
use strum::{EnumString, IntoStaticStr, VariantArray};

/// What needs a person. The words are those of `rowbell.alert_kind`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Deserialize, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum AlertKind {
    StormHeld,
    ChannelStopped,
    TemplateRejected,
    QueueLate,
    NoReceipts,
    EndpointStopped,
}

/// Something that needs a person now.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertCause {
    pub kind: AlertKind,
    /// What it is about; the same as long as it is the same.
    pub subject: String,
    pub what: String,
}
