//! Remembers whether there may be unconfirmed attempts or unmatched receipts, so that nobody asks the database for
//! them in calm times.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// What this process knows of them.
#[derive(Debug, Default)]
pub struct UnconfirmedAttempts {
    unconfirmed: AtomicBool,
    unmatched: AtomicBool,
    changed: Notify,
}

impl UnconfirmedAttempts {
    /// As of the last look of reconcile, or of what was noted since.
    pub fn there_may_be(&self, any: bool) {
        self.unconfirmed.store(any, Ordering::Relaxed);
        if any {
            self.changed.notify_waiters();
        }
    }

    /// What is known without asking.
    pub fn there_may_be_some(&self) -> bool {
        self.unconfirmed.load(Ordering::Relaxed)
    }

    /// A receipt that no attempt knows was noted.
    pub fn noted_unmatched(&self) {
        self.unmatched.store(true, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Before unmatched receipts are looked at: what is noted from now on is looked at again.
    pub fn look_at_unmatched(&self) {
        self.unmatched.store(false, Ordering::Relaxed);
    }

    /// Waits until there may be something to look up, and not at all if there is.
    pub async fn there_are_some(&self) {
        let changed = self.changed.notified();
        if !self.unconfirmed.load(Ordering::Relaxed) && !self.unmatched.load(Ordering::Relaxed) {
            changed.await;
        }
    }
}
