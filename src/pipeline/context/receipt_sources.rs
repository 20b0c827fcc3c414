//! Remembers when this process last stored that a receipt source works, so that it does so once a minute only.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::message::receipt::ReceiptSourceKind;

/// How often it is stored that a receipt source works.
const WRITE_EVERY: Duration = Duration::from_secs(60);

/// What this process stored last.
#[derive(Debug, Default)]
pub struct ReceiptSources(Mutex<HashMap<(String, ReceiptSourceKind), Timestamp>>);

impl ReceiptSources {
    /// Whether it is time to store it again.
    pub fn is_due(&self, channel: &str, kind: ReceiptSourceKind, now: Timestamp) -> bool {
        // Times are right at every line; a panic elsewhere does not spoil them.
        let mut written = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (channel.to_owned(), kind);
        let is_due = written.get(&key).is_none_or(|at| *at + WRITE_EVERY <= now);
        if is_due {
            written.insert(key, now);
        }
        is_due
    }

    /// It is stored at the next receipt.
    pub fn forget(&self, channel: &str, kind: ReceiptSourceKind) {
        let mut written = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        written.remove(&(channel.to_owned(), kind));
    }
}
