//! How many messages may leave now: a rate that is never passed within any second, and that learns from
//! the provider. The description stands in `provider/limiter.rs`. Times are nanoseconds since 1970.

use std::collections::VecDeque;

const SECOND: i64 = 1_000_000_000;

/// Messages that left within so many nanoseconds of each other are counted together.
const GRAIN: i64 = SECOND / 100;

/// A learned rate grows back from nothing to the configured one within so many seconds.
pub const RECOVERY_SECONDS: f64 = 600.0;

/// The part of its rate that a channel keeps when the provider refuses it.
const CUT: f64 = 0.5;

/// No refusal takes a rate below this part of the configured one.
const LEAST: f64 = 0.01;

/// What the provider was found to bear, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned {
    pub rate: f64,
    pub at: i64,
}

impl Learned {
    /// What it has grown to by now, with `configured` as the end.
    pub fn grown(self, configured: f64, now: i64) -> f64 {
        let seconds = (now - self.at).max(0) as f64 / SECOND as f64;
        (self.rate + configured * seconds / RECOVERY_SECONDS).min(configured)
    }
}

/// Messages that left at about the same moment.
#[derive(Clone, Copy, Debug)]
struct Left {
    first: i64,
    last: i64,
    count: usize,
}

/// The pace of one channel.
#[derive(Debug)]
pub struct Pace {
    configured: f64,
    learned: Option<Learned>,
    /// What a rush may take at once, refilled at the rate. Below nothing after more left than that.
    saved: f64,
    saved_at: i64,
    /// What left within the last second.
    left: VecDeque<Left>,
    left_count: usize,
    /// Permits that were taken for messages which have not left yet.
    promised: usize,
}

impl Pace {
    /// A pace of so many messages a second.
    pub fn new(configured: f64, now: i64) -> Pace {
        Pace {
            configured,
            learned: None,
            saved: burst(configured),
            saved_at: now,
            left: VecDeque::new(),
            left_count: 0,
            promised: 0,
        }
    }

    /// What left before this process, oldest first, and what was learned.
    pub fn remember(&mut self, left: &[(i64, usize)], learned: Option<Learned>, now: i64) {
        let start = left.first().map_or(now, |(at, _)| *at);
        *self = Pace { learned, ..Pace::new(self.configured, start) };
        for (at, count) in left {
            self.refill(*at);
            self.saved -= *count as f64;
            self.note(*at, *count);
        }
        self.refill(now);
    }

    /// Messages a second now.
    pub fn rate(&self, now: i64) -> f64 {
        self.learned.map_or(self.configured, |learned| learned.grown(self.configured, now))
    }

    /// How many of `want` may leave now.
    pub fn room(&mut self, want: usize, now: i64) -> usize {
        self.refill(now);
        self.forget(now);
        let most = (self.rate(now).ceil() as usize).max(1);
        let in_second = most.saturating_sub(self.left_count + self.promised);
        // The smallest part of a message is lost to rounding.
        want.min((self.saved + 1e-6).max(0.0) as usize).min(in_second)
    }

    /// Takes as many permits as there are now, up to `want`.
    pub fn take(&mut self, want: usize, now: i64) -> usize {
        let taken = self.room(want, now);
        self.saved -= taken as f64;
        self.promised += taken;
        taken
    }

    /// Permits that were not used after all.
    pub fn give_back(&mut self, count: usize) {
        self.saved += count as f64;
        self.promised = self.promised.saturating_sub(count);
    }

    /// A message with a permit leaves.
    pub fn leaves(&mut self, now: i64) {
        self.promised = self.promised.saturating_sub(1);
        self.note(now, 1);
    }

    /// When there may be a permit, after there was none.
    pub fn next_at(&mut self, now: i64) -> i64 {
        self.refill(now);
        self.forget(now);
        let missing = (1.0 - self.saved).max(0.0) / self.rate(now);
        let saved_at = now + (missing * SECOND as f64).ceil() as i64;
        let is_full = self.left_count + self.promised >= (self.rate(now).ceil() as usize).max(1);
        let room_at = self.left.front().filter(|_| is_full).map_or(now, |left| left.last + SECOND);
        saved_at.max(room_at)
    }

    /// The provider refused for the rate. What was learned by it, if that is news: answers to requests
    /// that were under way at the time of the last cut say nothing more.
    pub fn cut(&mut self, now: i64) -> Option<Learned> {
        if self.learned.is_some_and(|learned| now - learned.at < SECOND) {
            return None;
        }
        let rate = (self.rate(now) * CUT).max(self.configured * LEAST);
        let learned = Learned { rate, at: now };
        self.refill(now);
        self.saved = self.saved.min(0.0);
        self.learned = Some(learned);
        Some(learned)
    }

    fn refill(&mut self, now: i64) {
        let rate = self.rate(now);
        let seconds = (now - self.saved_at).max(0) as f64 / SECOND as f64;
        self.saved = (self.saved + rate * seconds).min(burst(rate));
        self.saved_at = self.saved_at.max(now);
    }

    fn note(&mut self, at: i64, count: usize) {
        self.left_count += count;
        match self.left.back_mut() {
            Some(left) if at - left.first < GRAIN => {
                left.last = left.last.max(at);
                left.count += count;
            }
            _ => self.left.push_back(Left { first: at, last: at, count }),
        }
    }

    fn forget(&mut self, now: i64) {
        while self.left.front().is_some_and(|left| left.last + SECOND <= now) {
            let gone = self.left.pop_front().map_or(0, |left| left.count);
            self.left_count -= gone;
        }
    }
}

/// A tenth of a second's worth, and at least one message.
fn burst(rate: f64) -> f64 {
    (rate / 10.0).floor().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_000_000 * SECOND;
    const MS: i64 = SECOND / 1_000;

    /// The most that left within any second, half open.
    fn densest(left: &[i64]) -> usize {
        let until = |at: i64| left.partition_point(|l| *l < at + SECOND);
        left.iter().enumerate().map(|(i, at)| until(*at) - i).max().unwrap_or(0)
    }

    /// What leaves when somebody always wants more and looks every `tick`; each message leaves `late`
    /// after its permit.
    fn rush(rate: f64, seconds: i64, tick: i64, late: &[i64]) -> Vec<i64> {
        let mut pace = Pace::new(rate, START);
        let (mut left, mut flying) = (Vec::new(), Vec::new());
        for step in 0..seconds * SECOND / tick {
            let now = START + step * tick;
            flying.sort_unstable();
            while flying.first().is_some_and(|at| *at <= now) {
                let _: i64 = flying.remove(0);
                pace.leaves(now);
                left.push(now);
            }
            let taken = pace.take(500, now);
            flying.extend((0..taken).map(|i| now + late[(step as usize + i) % late.len()]));
        }
        left
    }

    #[test]
    fn no_second_has_more_than_the_rate_and_little_is_lost() {
        for rate in [1.0, 3.0, 80.0, 1_000.0] {
            let left = rush(rate, 10, MS, &[0]);
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
        let left = rush(0.05, 100, 500 * MS, &[0]);
        assert_eq!(left.len(), 5);
    }

    #[test]
    fn what_left_before_a_restart_counts() {
        let mut pace = Pace::new(20.0, START);
        pace.remember(&[(START - 900 * MS, 15), (START - 500 * MS, 5)], None, START);
        assert_eq!(pace.take(20, START), 0, "twenty left within the last second");
        assert_eq!(pace.take(20, START + 100 * MS), 2, "as much as a tenth of a second bears");
        let mut slow = Pace::new(0.1, START);
        slow.remember(&[(START - 4 * SECOND, 1)], None, START);
        assert_eq!((slow.take(1, START), slow.next_at(START)), (0, START + 6 * SECOND));
    }

    #[test]
    fn permits_that_were_not_used_are_there_again() {
        let mut pace = Pace::new(1.0, START);
        assert_eq!(pace.take(5, START), 1);
        pace.give_back(1);
        assert_eq!(pace.take(5, START), 1);
        pace.leaves(START);
        assert_eq!(pace.take(5, START + 999 * MS), 0);
        assert_eq!(pace.take(5, START + SECOND), 1);
    }

    #[test]
    fn a_refusal_halves_the_rate_at_once_and_it_grows_back_slowly() {
        let mut pace = Pace::new(80.0, START);
        assert_eq!(pace.cut(START).map(|learned| learned.rate), Some(40.0));
        assert_eq!(pace.take(1, START), 0, "nothing is saved any more");
        assert_eq!(pace.cut(START + 500 * MS), None, "the same flight of requests");
        let again = pace.cut(START + 30 * SECOND).map(|learned| learned.rate);
        assert_eq!(again, Some(22.0), "40/s had grown to 44/s");
        assert!((pace.rate(START + 330 * SECOND) - 62.0).abs() < 1e-9);
        assert_eq!(pace.rate(START + 3_600 * SECOND).to_bits(), 80.0_f64.to_bits());
        for second in 0..100 {
            let _ = pace.cut(START + (4_000 + 2 * second) * SECOND);
        }
        assert!(pace.rate(START + 4_198 * SECOND) >= 0.8, "never below a hundredth");
    }

    proptest! {
        /// Whatever the rate, the looks and the way from permit to request: no second has too many.
        #[test]
        fn no_second_ever_has_too_many(
            rate in 0.5..60.0_f64, tick in 1..300_i64, late in proptest::collection::vec(0..2_500_i64, 1..20)
        ) {
            let late: Vec<i64> = late.into_iter().map(|ms| ms * MS).collect();
            let left = rush(rate, 12, tick * MS, &late);
            prop_assert!(densest(&left) <= rate.ceil() as usize, "{} in one second", densest(&left));
        }
    }
}
