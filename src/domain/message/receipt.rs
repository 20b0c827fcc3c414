//! Evidence about delivery.

use jiff::Timestamp;
use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantArray};

/// What a receipt says. The words are those of `rowbell.receipt_status`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    EnumString,
    IntoStaticStr,
    VariantArray,
    Serialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ReceiptStatus {
    Sent,
    Failed,
    Delivered,
    Read,
    /// A status word that says nothing about delivery, or that we do not know.
    #[default]
    Other,
}

impl ReceiptStatus {
    /// Reads the status words of 1MSG and Meta, in any case.
    pub fn from_wire(word: &str) -> ReceiptStatus {
        match word.to_ascii_lowercase().as_str() {
            "sent" => ReceiptStatus::Sent,
            "failed" | "undelivered" => ReceiptStatus::Failed,
            "delivered" => ReceiptStatus::Delivered,
            "read" | "viewed" | "played" => ReceiptStatus::Read,
            _ => ReceiptStatus::Other,
        }
    }
}

/// How a receipt reached us. The words are those of `rowbell.evidence_source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum EvidenceSource {
    Webhook,
    Poll,
    Timeout,
}

/// What can tell of a channel's receipts. The words are those of `rowbell.receipt_source_kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ReceiptSourceKind {
    /// What was posted to us.
    Webhook,
    /// The provider when it is asked for receipts.
    Polling,
    /// Whether the provider posts to us, as it says itself.
    #[strum(serialize = "registration")]
    Destination,
    /// What was posted to us and not understood.
    Unread,
}

/// How it stands. The words are those of `rowbell.receipt_source_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ReceiptSourceState {
    Works,
    /// The provider does not have it.
    Missing,
    /// It could not be asked, or has given us up.
    Failing,
}

/// One piece of evidence, as it came.
#[derive(Clone, Default, PartialEq)]
pub struct Receipt {
    pub provider_message_id: String,
    pub status: ReceiptStatus,
    /// Digits of the phone that the provider names; may differ from the one that was written to.
    pub phone: Option<String>,
    pub error_code: Option<i32>,
    pub error_title: Option<String>,
    pub error_text: Option<String>,
    pub occurred_at: Option<Timestamp>,
    pub pricing: Pricing,
    pub raw: String,
}

/// What a receipt says of the price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pricing {
    /// `utility`, `marketing` …
    pub category: Option<String>,
    /// `PMP`: each message is charged. `CBP`: conversations were.
    pub model: Option<String>,
    pub is_billable: Option<bool>,
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receipt({}, {:?}, {:?})", self.provider_message_id, self.status, self.error_code)
    }
}
