//! The time. Everything that decides by time asks a `Clock`, so that tests can move it by hand.
//!
//! A daemon goes by the clock of its database: triggers stamp changes with it, and daemons share leases and due
//! times. Between two looks at it the time goes on steadily, whatever is done to the clock of this host.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// A clock that differs by less is as good as equal, beside the time that asking took.
const EQUAL: SignedDuration = SignedDuration::from_millis(100);

/// Where the time comes from: the system, or a test's hand.
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System(Arc<Following>),
    /// Stands still until it is moved.
    Manual(Arc<Mutex<Hands>>),
    /// As far ahead of the system as it was moved.
    Ahead(Arc<Mutex<Duration>>),
}

/// The system's clock at the start, and how another one differs from what has passed since.
struct Following {
    began: Instant,
    at_start: Timestamp,
    ahead_nanos: AtomicI64,
    /// How wrong the system's clock is, for stories.
    off: SignedDuration,
}

struct Hands {
    now: Timestamp,
    steady: Timestamp,
}

impl Default for Source {
    fn default() -> Source {
        Source::off(SignedDuration::ZERO)
    }
}

impl Source {
    fn off(off: SignedDuration) -> Source {
        Source::System(Arc::new(Following {
            began: Instant::now(),
            at_start: moved(system_now(), off),
            ahead_nanos: AtomicI64::new(0),
            off,
        }))
    }
}

impl Following {
    fn steady(&self) -> Timestamp {
        later(self.at_start, self.began.elapsed())
    }

    fn ahead(&self) -> SignedDuration {
        SignedDuration::from_nanos(self.ahead_nanos.load(Ordering::Relaxed))
    }
}

impl Clock {
    /// The clock of the system.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// The clock of a system that is so much ahead of the true time, or behind it.
    pub fn system_off(by: SignedDuration) -> Clock {
        Clock(Source::off(by))
    }

    /// A clock that stands still until it is moved.
    pub fn manual(start: Timestamp) -> Clock {
        Clock(Source::Manual(Arc::new(Mutex::new(Hands { now: start, steady: start }))))
    }

    /// A clock that goes as the system's does and can be moved ahead of it: for stories in which a
    /// real database stamps the changes.
    pub fn ahead() -> Clock {
        Clock(Source::Ahead(Arc::default()))
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System(following) => moved(following.steady(), following.ahead()),
            Source::Manual(hands) => lock(hands).now,
            Source::Ahead(by) => later(system_now(), *lock(by)),
        }
    }

    /// A time that nobody sets: for what counts how much time has passed. Means nothing outside this process.
    pub fn steady(&self) -> Timestamp {
        match &self.0 {
            Source::System(following) => following.steady(),
            Source::Manual(hands) => lock(hands).steady,
            Source::Ahead(_) => self.now(),
        }
    }

    /// The time that this host has.
    pub fn host(&self) -> Timestamp {
        match &self.0 {
            Source::System(following) => moved(system_now(), following.off),
            Source::Manual(_) | Source::Ahead(_) => self.now(),
        }
    }

    /// Goes by another clock, which told this time between the steady time `asked_at` and now. Returns by how much the
    /// time was moved, if it was.
    pub fn follow(&self, asked_at: Timestamp, told: Timestamp) -> Option<SignedDuration> {
        let Source::System(following) = &self.0 else { return None };
        let half = following.steady().duration_since(asked_at) / 2;
        let ahead = told.duration_since(moved(asked_at, half));
        let by = ahead - following.ahead();
        if by.abs() <= half + EQUAL {
            return None;
        }
        let nanos = i64::try_from(ahead.as_nanos()).ok()?;
        following.ahead_nanos.store(nanos, Ordering::Relaxed);
        Some(by)
    }

    /// Moves a clock forward by hand. Does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::System(_) => {}
            Source::Manual(hands) => {
                let mut hands = lock(hands);
                *hands = Hands { now: later(hands.now, by), steady: later(hands.steady, by) };
            }
            Source::Ahead(ahead) => *lock(ahead) += by,
        }
    }

    /// Somebody sets a manual clock back: no time has passed.
    pub fn set_back(&self, by: Duration) {
        if let Source::Manual(hands) = &self.0 {
            let mut hands = lock(hands);
            hands.now = hands.now.saturating_sub(by).unwrap_or(Timestamp::MIN);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
fn system_now() -> Timestamp {
    Timestamp::now()
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    moved(time, SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX))
}

fn moved(time: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    time.saturating_add(by).unwrap_or(end)
}

fn lock<T>(hand: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A poisoned clock still tells the time.
    hand.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    #[test]
    fn a_clock_that_is_wrong_goes_by_the_one_that_it_asks() {
        let clock = Clock::system_off(-MINUTE);
        let right = Clock::system();
        assert!(right.now().duration_since(clock.now()) > SignedDuration::from_secs(59));
        let moved_by = clock.follow(clock.steady(), right.now());
        assert!(moved_by.is_some_and(|by| (by - MINUTE).abs() < SignedDuration::from_secs(1)));
        assert!(right.now().duration_since(clock.now()).abs() < SignedDuration::from_secs(1));
        assert_eq!(clock.follow(clock.steady(), right.now()), None, "it is right now");
        assert!(right.now().duration_since(clock.host()) > SignedDuration::from_secs(59));
    }

    #[test]
    fn what_took_long_to_tell_is_not_taken_to_the_letter() {
        let clock = Clock::system();
        let asked_at = clock.steady() - SignedDuration::from_secs(10);
        assert_eq!(clock.follow(asked_at, clock.now() - SignedDuration::from_secs(9)), None);
    }

    #[test]
    fn steady_time_is_never_set_back() {
        let clock = Clock::system();
        let before = clock.steady();
        clock.follow(clock.steady(), clock.now() - MINUTE);
        assert!(clock.steady() >= before);
        assert!(clock.now() < before);
    }
}
