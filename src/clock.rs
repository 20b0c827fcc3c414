//! The time. Everything that decides by time asks a `Clock`, so that tests can move it by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;

/// Where the time comes from: the system, or a test's hand.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<Mutex<Timestamp>>>);

impl Clock {
    /// The clock of the system.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A clock that stands still until it is moved.
    pub fn manual(start: Timestamp) -> Clock {
        Clock(Some(Arc::new(Mutex::new(start))))
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that asks the system"
            )]
            None => Timestamp::now(),
            Some(hand) => *lock(hand),
        }
    }

    /// Moves a manual clock forward. Does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        if let Some(hand) = &self.0 {
            let mut now = lock(hand);
            *now = now
                .saturating_add(
                    jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX),
                )
                .unwrap_or(Timestamp::MAX);
        }
    }
}

fn lock(hand: &Mutex<Timestamp>) -> std::sync::MutexGuard<'_, Timestamp> {
    // A poisoned clock still tells the time.
    hand.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
