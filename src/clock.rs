//! The time. Everything that decides by time asks a `Clock`, so that tests can move it by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;

/// Where the time comes from: the system, or a test's hand.
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    /// Stands still until it is moved.
    Manual(Arc<Mutex<Timestamp>>),
    /// As far ahead of the system as it was moved.
    Ahead(Arc<Mutex<Duration>>),
}

impl Clock {
    /// The clock of the system.
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// A clock that stands still until it is moved.
    pub fn manual(start: Timestamp) -> Clock {
        Clock(Source::Manual(Arc::new(Mutex::new(start))))
    }

    /// A clock that goes as the system's does and can be moved ahead of it: for stories in which a
    /// real database stamps the changes.
    pub fn ahead() -> Clock {
        Clock(Source::Ahead(Arc::default()))
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(hand) => *lock(hand),
            Source::Ahead(by) => later(system_now(), *lock(by)),
        }
    }

    /// Moves a manual clock forward. Does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::System => {}
            Source::Manual(hand) => {
                let mut now = lock(hand);
                *now = later(*now, by);
            }
            Source::Ahead(ahead) => *lock(ahead) += by,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
fn system_now() -> Timestamp {
    Timestamp::now()
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn lock<T>(hand: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A poisoned clock still tells the time.
    hand.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
