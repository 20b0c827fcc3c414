//! How many messages may leave: a rate that no second exceeds.
//!
//! A permit is taken where the request leaves. With a burst of one, permits are evenly apart, and no
//! second has more than the rate. A timer is always a little late: where permits are close to each other a
//! fiftieth of them may catch up, and the quota is smaller by as much.
//!
//! Messages are leased a tenth of a second before their permits are due, so that each permit finds a
//! message.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;

use crate::clock::Clock;
use crate::domain::limit::adaptive_rate::{AdaptiveRate, Learned};
use crate::provider::limiter::governed::{Governed, burst, every};

/// How long before its permit a message is leased.
const AHEAD: u64 = 100_000_000;

/// The part of the rate that may catch up.
const CATCHES_UP: f64 = 0.02;

/// Nanoseconds: three years, so that no number overflows.
const LONGEST: f64 = 1e17;

/// The rate of one channel.
pub struct RateLimit {
    rate: AdaptiveRate,
    permits: Governed<()>,
    /// Leased messages that have no permit yet.
    leased: usize,
}

impl RateLimit {
    /// So many messages a second.
    pub fn new(configured: f64, clock: Clock) -> RateLimit {
        let rate = AdaptiveRate { configured, learned: None };
        RateLimit { rate, permits: Governed::new(clock), leased: 0 }
    }

    /// What left before this process, oldest first, and what was learned.
    pub fn remember(&mut self, left: &[(u64, usize)], learned: Option<Learned>) {
        self.rate.learned = learned;
        let every = every(self.quota());
        let paid_back = left.iter().fold(0_u64, |paid_back, (at, count)| {
            paid_back.max(*at).saturating_add(every.saturating_mul(*count as u64))
        });
        self.permits.remember(&(), paid_back);
    }

    /// Takes a permit for a message that leaves now; or says how long there is none.
    pub fn take(&mut self) -> Result<(), Duration> {
        let taken = self.permits.take(&(), self.quota());
        taken.map_err(|at| Duration::from_nanos(at.saturating_sub(self.permits.now())))?;
        self.leased = self.leased.saturating_sub(1);
        Ok(())
    }

    /// The permit was not used after all.
    pub fn give_back(&mut self) {
        self.permits.give_back(&(), self.quota());
    }

    /// How many of `want` may be leased now.
    pub fn room(&self, want: usize) -> usize {
        let quota = self.quota();
        let room = (self.permits.now() + AHEAD).saturating_sub(self.next(quota));
        want.min(usize::try_from(room.div_ceil(every(quota))).unwrap_or(usize::MAX))
    }

    /// Leases as many as there is room for, up to `want`.
    pub fn lease(&mut self, want: usize) -> usize {
        let leased = self.room(want);
        self.leased += leased;
        leased
    }

    /// Leased messages that do not leave after all.
    pub fn withdraw(&mut self, count: usize) {
        self.leased = self.leased.saturating_sub(count);
    }

    /// How long until half of what is leased ahead may be leased again.
    pub fn room_in(&self) -> Duration {
        let now = self.permits.now() + AHEAD / 2;
        Duration::from_nanos(self.next(self.quota()).saturating_sub(now))
    }

    /// The rate as it is now.
    pub fn per_second(&self) -> f64 {
        self.rate.at(self.permits.now() as i64)
    }

    /// The provider refused for the rate what was sent at that time. What was learned by it, if that is news.
    pub fn cut(&mut self, sent_at: Option<i64>) -> Option<Learned> {
        let learned = self.rate.cut(self.permits.now() as i64, sent_at)?;
        self.permits.exhaust(&(), self.quota());
        Some(learned)
    }

    /// When the first message that is not leased yet may leave.
    fn next(&self, quota: Quota) -> u64 {
        let leased = every(quota).saturating_mul(self.leased as u64 + 1);
        self.permits.paid_back(&()).saturating_add(leased).saturating_sub(burst(quota))
    }

    /// At most the rate within any second: a burst, and what comes after it.
    fn quota(&self) -> Quota {
        let rate = self.rate.at(self.permits.now() as i64);
        let catches_up = (rate * CATCHES_UP) as u32;
        // Rounded up, but for what is lost in floating point.
        let every = (1e9 / (rate - f64::from(catches_up)) - 1e-3).ceil().clamp(1.0, LONGEST);
        Quota::with_period(Duration::from_nanos(every as u64))
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(NonZeroU32::MIN.saturating_add(catches_up))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    fn limit(rate: f64) -> (RateLimit, Clock) {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH + SECOND * 1_000_000);
        (RateLimit::new(rate, clock.clone()), clock)
    }

    /// The most that left within any second, half open.
    fn densest(left: &[u64]) -> usize {
        let until = |at: u64| left.partition_point(|l| *l < at + 1_000_000_000);
        left.iter().enumerate().map(|(i, at)| until(*at) - i).max().unwrap_or(0)
    }

    /// What leaves when somebody always wants more and looks every `tick`; leased messages arrive `late`
    /// where they leave. In the middle another process takes over.
    fn rush(rate: f64, ticks: u32, tick: Duration, late: &[u32]) -> Vec<u64> {
        let (mut limit, clock) = limit(rate);
        let (mut left, mut flying) = (Vec::new(), Vec::new());
        for step in 0..ticks {
            let now = limit.permits.now();
            while flying.iter().any(|at| *at <= now) && limit.take().is_ok() {
                let first = flying.iter().position(|at| *at <= now).unwrap();
                let _: u64 = flying.swap_remove(first);
                left.push(now);
            }
            let leased = limit.lease(500) as u32;
            let due = (0..leased).map(|i| late[(step + i) as usize % late.len()]);
            flying.extend(due.map(|ms| now + u64::from(ms) * 1_000_000));
            if step == ticks / 2 {
                limit = RateLimit::new(rate, clock.clone());
                let recent = left.iter().filter(|at| **at + 1_000_000_000 > now || rate < 1.0);
                limit.remember(&recent.map(|at| (*at, 1)).collect::<Vec<_>>(), None);
                flying.clear();
            }
            clock.advance(tick);
        }
        left
    }

    #[test]
    fn no_second_has_more_than_the_rate_and_little_is_lost() {
        for rate in [1.0, 3.0, 80.0, 1_000.0] {
            let left = rush(rate, 10_000, MS, &[0]);
            assert!(densest(&left) <= rate as usize, "{rate}/s: {} in one second", densest(&left));
            assert!(
                left.len() as f64 >= rate * 9.8 - 1.0,
                "{rate}/s: only {} in ten seconds",
                left.len()
            );
        }
    }

    #[test]
    fn a_rate_of_one_in_many_seconds_is_kept() {
        let left = rush(0.05, 200, MS * 500, &[0]);
        assert_eq!(left.len(), 5);
    }

    #[test]
    fn what_left_before_a_restart_counts() {
        let (mut fast, clock) = limit(20.0);
        let now = fast.permits.now();
        fast.remember(&[(now - 900_000_000, 15), (now - 500_000_000, 5)], None);
        assert_eq!(fast.take(), Err(MS * 100), "twenty left within the last second");
        clock.advance(MS * 100);
        assert_eq!(fast.take(), Ok(()));
        let (mut slow, _) = limit(0.1);
        slow.remember(&[(now - 4_000_000_000, 1)], None);
        assert_eq!((slow.lease(1), slow.take()), (0, Err(SECOND * 6)));
    }

    #[test]
    fn permits_that_were_not_used_are_there_again() {
        let (mut limit, clock) = limit(1.0);
        assert_eq!(limit.take(), Ok(()));
        limit.give_back();
        assert_eq!(limit.take(), Ok(()));
        clock.advance(MS * 999);
        assert_eq!(limit.take(), Err(MS));
        clock.advance(MS);
        assert_eq!(limit.take(), Ok(()));
    }

    #[test]
    fn no_more_is_leased_than_may_leave_soon() {
        let (mut limit, clock) = limit(80.0);
        assert_eq!((limit.lease(500), limit.lease(500)), (9, 0));
        let until = clock.now() + limit.room_in();
        while clock.now() < until {
            while limit.take().is_ok() {}
            clock.advance(MS);
        }
        let half = limit.room(500);
        assert!((4..=5).contains(&half), "{half} of 9 at once");
        limit.withdraw(3);
        assert_eq!(limit.room(500), half + 3);
    }

    #[test]
    fn a_refusal_halves_the_rate_at_once() {
        let (mut limit, clock) = limit(80.0);
        assert_eq!(limit.cut(None).map(|learned| learned.rate), Some(40.0));
        assert_eq!(limit.take(), Err(MS * 25), "nothing is saved any more");
        clock.advance(MS * 25);
        assert_eq!(limit.take(), Ok(()));
    }

    proptest! {
        /// Whatever the rate, the looks, the way from lease to request, and a restart: no second has too many.
        #[test]
        fn no_second_ever_has_too_many(
            rate in 0.5..120.0_f64, tick in 1..300_u32, late in proptest::collection::vec(0..2_500_u32, 1..20)
        ) {
            let left = rush(rate, 12_000 / tick, MS * tick, &late);
            prop_assert!(densest(&left) <= rate.ceil() as usize, "{} in one second", densest(&left));
        }
    }
}
