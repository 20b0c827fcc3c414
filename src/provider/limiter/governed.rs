//! Governor with a clock and a store of ours. The store holds governor's number for each key: the moment at which
//! all that was let through is paid back. So it can be told what was sent before a restart, takes back a permit
//! that was not used, and serves one quota after another. Times are nanoseconds of the steady clock, which is never set
//! back.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::Hash;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::clock::Clock;

/// What was let through, by key.
pub struct Governed<K> {
    clock: Clock,
    paid_back: RefCell<HashMap<K, u64>>,
}

impl<K: Hash + Eq + Clone> Governed<K> {
    pub fn new(clock: Clock) -> Governed<K> {
        Governed { clock, paid_back: RefCell::default() }
    }

    /// The steady time, in whole microseconds, as the database keeps times.
    pub fn now(&self) -> u64 {
        unix(&self.clock)
    }

    /// Takes a permit; or says from when there is one.
    pub fn take(&self, key: &K, quota: Quota) -> Result<(), u64> {
        let clock = UnixClock { clock: &self.clock, runs: Cell::new(false) };
        let limiter: RateLimiter<K, _, _, NoOpMiddleware<Nanos>> =
            RateLimiter::new(quota, self, clock);
        limiter.clock().runs.set(true);
        limiter.check_key(key).map_err(|until| until.earliest_possible().into())
    }

    /// A permit was not used after all.
    pub fn give_back(&mut self, key: &K, quota: Quota) {
        if let Some(paid_back) = self.paid_back.get_mut().get_mut(key) {
            *paid_back = paid_back.saturating_sub(every(quota));
        }
    }

    /// A whole burst is used up.
    pub fn exhaust(&mut self, key: &K, quota: Quota) {
        let after = self.now() + burst(quota);
        self.remember(key, after.max(self.paid_back(key)));
    }

    /// When all that was let through is paid back; now, if it is.
    pub fn paid_back(&self, key: &K) -> u64 {
        self.paid_back.borrow().get(key).map_or(0, |at| *at).max(self.now())
    }

    /// All that was let through will be paid back then.
    pub fn remember(&mut self, key: &K, paid_back: u64) {
        self.paid_back.get_mut().insert(key.clone(), paid_back);
    }

    /// How many keys are known.
    pub fn count(&self) -> usize {
        self.paid_back.borrow().len()
    }

    /// Forgets what has paid back.
    pub fn forget(&mut self) {
        let now = self.now();
        self.paid_back.get_mut().retain(|_, paid_back| *paid_back > now);
    }
}

/// The time of one permit.
pub fn every(quota: Quota) -> u64 {
    u64::try_from(quota.replenish_interval().as_nanos()).unwrap_or(u64::MAX)
}

/// The time of a whole burst.
pub fn burst(quota: Quota) -> u64 {
    every(quota).saturating_mul(quota.burst_size().get().into())
}

impl<K: Hash + Eq + Clone> StateStore for &Governed<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut paid_back = self.paid_back.borrow_mut();
        let (outcome, next) = decide(paid_back.get(key).copied().map(Nanos::from))?;
        paid_back.insert(key.clone(), next.into());
        Ok(outcome)
    }
}

/// A limiter counts from the time at which it is made. That is zero here, as long as the clock does not run:
/// so a number means the same to every limiter.
struct UnixClock<'a> {
    clock: &'a Clock,
    runs: Cell<bool>,
}

impl governor::clock::Clock for UnixClock<'_> {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(if self.runs.get() { unix(self.clock) } else { 0 })
    }
}

fn unix(clock: &Clock) -> u64 {
    u64::try_from(clock.steady().as_microsecond()).unwrap_or(0) * 1_000
}
