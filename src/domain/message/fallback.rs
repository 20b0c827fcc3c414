//! Why a message may go to the next channel of its watch, and what has to be known before.

use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantArray};

/// Why it may. The words are those of `rowbell.fallback_cause`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum FallbackCause {
    /// Undeliverable, or every attempt failed.
    Failed,
    /// The recipient cannot be reached there, or does not want to.
    Skipped,
    /// Accepted, and not delivered in time.
    Undelivered,
}

/// What it takes to decide. The words are those of `rowbell.fallback_waits_for`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum FallbackWait {
    PastReceipts,
    Receipts,
    Circuit,
    Attempt,
    Person,
}

impl FallbackWait {
    /// The same as a sentence.
    pub fn in_words(self) -> &'static str {
        match self {
            FallbackWait::PastReceipts => {
                "the daemon has just started: receipts of the time before may still come in"
            }
            FallbackWait::Receipts => {
                "nothing at all was heard of its channel since: the receipts are missing"
            }
            FallbackWait::Circuit => "errors have stopped its channel or template",
            FallbackWait::Attempt => "an attempt is under way",
            FallbackWait::Person => "it waits for a person",
        }
    }
}
