//! What keeps tokens from being guessed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

/// Wrong tokens within a minute before all logins wait until it is over. Whoever knows the token is let in at the
/// next minute; whoever guesses gets nowhere.
const WRONG_A_MINUTE: usize = 10;

/// Counts the wrong tokens.
#[derive(Debug, Default)]
pub struct LoginGuard(Mutex<Vec<Timestamp>>);

impl LoginGuard {
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.retain(|at| now.duration_since(*at).unsigned_abs() < Duration::from_secs(60));
        wrong.len() >= WRONG_A_MINUTE
    }

    pub fn add(&self, now: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(now);
    }
}
