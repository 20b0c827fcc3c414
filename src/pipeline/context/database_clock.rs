//! Goes by the clock of the database, and says where this host's differs from it.
//!
//! Due times begin with the moment at which a change was captured, and leases are shared between daemons: whoever
//! goes by a clock of its own sends late, or is not replaced.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;
use crate::domain::notice;

/// A clock that differs by more is worth a word.
const DIFFERS: SignedDuration = SignedDuration::from_secs(1);

/// What was said of the clocks.
#[derive(Debug, Default)]
pub struct DatabaseClock {
    /// The log said that the clock of this host differs.
    is_said: AtomicBool,
}

impl DatabaseClock {
    /// The database told its time, asked for at a steady time. Returns how far it was set back since the last time.
    pub fn follow(
        &self,
        clock: &Clock,
        asked_at: Timestamp,
        told: Timestamp,
    ) -> Option<SignedDuration> {
        let moved = clock.follow(asked_at, told);
        self.compare(clock);
        moved.map(|moved| -moved).filter(|back| *back >= DIFFERS)
    }

    fn compare(&self, clock: &Clock) {
        let ahead = clock.host().duration_since(clock.now());
        let differs = ahead.abs() > DIFFERS;
        let seconds = ahead.as_secs_f64();
        metrics::gauge!("rowbell_clock_ahead_seconds").set(seconds);
        if differs == self.is_said.swap(differs, Ordering::Relaxed) {
            return;
        }
        match differs {
            true => tracing::warn!(target: notice::CLOCK_DIFFERS,
                seconds = format!("{seconds:.1}"),
                "the clock of this host is so far ahead of the database's (behind it, where below 0); rowbell goes by \
                 the database's; set both by NTP"
            ),
            false => tracing::info!("the clock of this host agrees with the database's again"),
        }
    }
}
