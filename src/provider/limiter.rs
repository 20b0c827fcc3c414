//! How fast a channel may send: one governor limit per channel.
//!
//! Governor's cell-rate algorithm keeps one number, the moment at which the next permit is due. The
//! burst is a tenth of a second's worth and at least one permit, so a rush that follows a pause can
//! put at most that much on top of the rate into one second. `permits` takes as many as are there
//! now, up to what is asked for; nobody waits inside, and what is not there is asked for again after
//! `next_in`. Limits defer, they never drop.
//!
//! Time comes from our `Clock`, so that tests can move it by hand.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Clock;
use crate::config::units::Rate;

/// The limit of one channel.
pub struct Limiter {
    limit: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Instant>>,
    burst: usize,
    period: Duration,
}

impl Limiter {
    pub fn new(rate: Rate, clock: Clock) -> Limiter {
        let per_second = rate.as_per_second();
        let burst = NonZeroU32::new((per_second / 10.0) as u32).unwrap_or(NonZeroU32::MIN);
        let period = Duration::from_secs_f64((1.0 / per_second).clamp(1e-9, 1e9));
        let quota = Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let limit = RateLimiter::direct_with_clock(quota.allow_burst(burst), Ticks(clock));
        Limiter {
            limit,
            burst: burst.get() as usize,
            period,
        }
    }

    /// Takes as many permits as there are now, up to `want`.
    pub fn permits(&self, want: usize) -> usize {
        let mut taken = 0;
        let mut piece = want.min(self.burst);
        while piece > 0 {
            let count = NonZeroU32::new(u32::try_from(piece).unwrap_or(u32::MAX));
            let there = count.is_some_and(|n| matches!(self.limit.check_n(n), Ok(Ok(()))));
            if there {
                taken += piece;
                piece = piece.min(want - taken);
            } else {
                piece /= 2;
            }
        }
        taken
    }

    /// How long until there is a permit after all were taken. Takes none.
    pub fn next_in(&self) -> Duration {
        self.period.max(Duration::from_millis(1))
    }
}

/// Our clock as governor wants it.
#[derive(Clone)]
struct Ticks(Clock);

/// Nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl GovernorClock for Ticks {
    type Instant = Instant;

    fn now(&self) -> Instant {
        Instant(u64::try_from(self.0.now().as_nanosecond()).unwrap_or(0))
    }
}

impl Reference for Instant {
    fn duration_since(&self, earlier: Instant) -> Nanos {
        Nanos::from(self.0.saturating_sub(earlier.0))
    }

    fn saturating_sub(&self, duration: Nanos) -> Instant {
        Instant(self.0.saturating_sub(duration.into()))
    }
}

impl std::ops::Add<Nanos> for Instant {
    type Output = Instant;

    fn add(self, duration: Nanos) -> Instant {
        Instant(self.0.saturating_add(duration.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    /// Permits taken in each millisecond of ten seconds by somebody who always wants more.
    fn taken(rate: Rate) -> Vec<usize> {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let limiter = Limiter::new(rate, clock.clone());
        (0..10_000)
            .map(|_| {
                clock.advance(Duration::from_millis(1));
                limiter.permits(500)
            })
            .collect()
    }

    #[test]
    fn no_second_has_more_than_the_rate_and_its_burst_and_nothing_is_lost() {
        for rate in [1, 80, 1_000, 20_000] {
            let taken = taken(Rate::per_second(rate));
            let most = taken
                .windows(1_000)
                .map(|second| second.iter().sum::<usize>())
                .max();
            let rate = rate as usize;
            assert!(
                most <= Some(rate + (rate / 10).max(1)),
                "{rate}/s: {most:?} in one second"
            );
            let total: usize = taken.iter().sum();
            assert!(
                total >= rate * 10 - 1,
                "{rate}/s: only {total} in ten seconds"
            );
        }
    }
}
