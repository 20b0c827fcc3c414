//! Evidence about delivery.

use jiff::Timestamp;

/// What a receipt says. The words are those of `rowbell.receipt_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiptStatus {
    Sent,
    Failed,
    Delivered,
    Read,
    /// A status word that says nothing about delivery, or that we do not know.
    Other,
}

impl ReceiptStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            ReceiptStatus::Sent => "sent",
            ReceiptStatus::Failed => "failed",
            ReceiptStatus::Delivered => "delivered",
            ReceiptStatus::Read => "read",
            ReceiptStatus::Other => "other",
        }
    }

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

/// One piece of evidence, as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    pub provider_message_id: String,
    pub status: ReceiptStatus,
    pub error_code: Option<i32>,
    pub error_text: Option<String>,
    pub occurred_at: Option<Timestamp>,
    pub raw: String,
}
