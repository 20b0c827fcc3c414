//! Evidence about delivery.

use jiff::Timestamp;

/// What a receipt says. The words are those of `rowbell.receipt_status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
    pub const ALL: [ReceiptStatus; 5] = [
        ReceiptStatus::Sent,
        ReceiptStatus::Failed,
        ReceiptStatus::Delivered,
        ReceiptStatus::Read,
        ReceiptStatus::Other,
    ];

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

/// How a receipt reached us. The words are those of `rowbell.receipt_source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Webhook,
    Poll,
    Timeout,
}

impl Source {
    pub const ALL: [Source; 3] = [Source::Webhook, Source::Poll, Source::Timeout];

    pub fn as_str(self) -> &'static str {
        match self {
            Source::Webhook => "webhook",
            Source::Poll => "poll",
            Source::Timeout => "timeout",
        }
    }
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
    pub raw: String,
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receipt({}, {:?}, {:?})", self.provider_message_id, self.status, self.error_code)
    }
}
