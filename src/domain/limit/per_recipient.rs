//! How often one phone may be written to: so many messages at once, then one each `every`. The
//! description stands in `provider/limiter.rs`. Times are milliseconds since 1970.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Below this many phones nothing is forgotten before its time.
const FEW: usize = 4_096;

/// Older than this, the moment from which times are counted is moved up: they are kept in 32 bits.
const LONG: i64 = 86_400_000;

/// The pairs of one channel with each phone. A phone is known by 32 bits of its hash: two that share
/// them wait for each other now and then, which does no harm.
#[derive(Debug)]
pub struct Pairs {
    every: i64,
    burst: i64,
    since: i64,
    /// When what was sent to a phone is paid back, one message each `every`.
    paid_back: HashMap<u32, u32, BuildHasherDefault<Plain>>,
    /// The same, with those counted that were told to wait.
    promised: HashMap<u32, u32, BuildHasherDefault<Plain>>,
    crowd: usize,
}

/// Keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        // The map looks at the highest bits and at the lowest.
        self.0 | self.0 << 32
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }

    fn write_u32(&mut self, key: u32) {
        self.0 = u64::from(key);
    }
}

impl Pairs {
    /// `burst` messages at once, then one each `every` milliseconds; both at least 1.
    pub fn new(every: i64, burst: u32, now: i64) -> Pairs {
        Pairs {
            every: every.max(1),
            burst: i64::from(burst.max(1)),
            since: now,
            paid_back: HashMap::default(),
            promised: HashMap::default(),
            crowd: FEW,
        }
    }

    /// How long what was sent may matter.
    pub fn memory(&self) -> i64 {
        self.every * self.burst
    }

    /// What was sent to a phone before this process is paid back then.
    pub fn remember(&mut self, phone: u32, paid_back: i64, now: i64) {
        self.set(phone, paid_back.min(now + self.memory()));
    }

    /// Takes a place for one message to a phone now; or says when there is one, for this message alone.
    pub fn take(&mut self, phone: u32, now: i64) -> Result<(), i64> {
        let before = self.get(&self.paid_back, phone).max(now);
        if before + self.every - now <= self.memory() {
            self.set(phone, before + self.every);
            return Ok(());
        }
        let before = before.max(self.get(&self.promised, phone));
        let after = self.packed(before + self.every);
        self.promised.insert(phone, after);
        Err(before + self.every - self.memory())
    }

    /// The place was not used after all.
    pub fn give_back(&mut self, phone: u32) {
        let before = self.get(&self.paid_back, phone) - self.every;
        self.set(phone, before);
    }

    /// The provider says that the phone was written to too often: somebody else does it, too.
    pub fn exhaust(&mut self, phone: u32, now: i64) {
        self.set(phone, now + self.memory());
    }

    fn get(&self, times: &HashMap<u32, u32, BuildHasherDefault<Plain>>, phone: u32) -> i64 {
        times.get(&phone).map_or(0, |time| self.since + i64::from(*time))
    }

    fn set(&mut self, phone: u32, time: i64) {
        let time = self.packed(time);
        self.paid_back.insert(phone, time);
    }

    fn packed(&self, time: i64) -> u32 {
        u32::try_from((time - self.since).max(0)).unwrap_or(u32::MAX)
    }

    /// Forgets phones that have paid back. Cheap unless there are many.
    pub fn forget(&mut self, now: i64) {
        if self.paid_back.len() < self.crowd && now - self.since < LONG {
            return;
        }
        let (since, up) = (self.since, self.packed(now));
        for times in [&mut self.paid_back, &mut self.promised] {
            times.retain(|_, time| since + i64::from(*time) > now);
            times.values_mut().for_each(|time| *time -= up);
        }
        self.since += i64::from(up);
        self.crowd = (self.paid_back.len() * 2).max(FEW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: i64 = 1_000_000_000;
    const EVERY: i64 = 6_000;

    #[test]
    fn a_burst_then_one_each_six_seconds() {
        let mut pairs = Pairs::new(EVERY, 3, START);
        let taken: Vec<_> = (0..3).map(|_| pairs.take(1, START)).collect();
        assert_eq!(taken, [Ok(()); 3]);
        assert_eq!(pairs.take(2, START), Ok(()), "another phone is not concerned");
        assert_eq!(pairs.take(1, START), Err(START + EVERY));
        assert_eq!(pairs.take(1, START), Err(START + 2 * EVERY), "each gets a moment of its own");
        assert_eq!(pairs.take(1, START + EVERY), Ok(()));
        assert_eq!(pairs.take(1, START + 2 * EVERY), Ok(()));
        assert_eq!(pairs.take(1, START + 2 * EVERY), Err(START + 3 * EVERY));
    }

    #[test]
    fn what_the_provider_says_counts() {
        let mut pairs = Pairs::new(EVERY, 3, START);
        pairs.exhaust(1, START);
        assert_eq!(pairs.take(1, START), Err(START + EVERY));
        pairs.give_back(1);
        assert_eq!(pairs.take(1, START), Ok(()));
    }

    #[test]
    fn phones_are_forgotten_once_they_have_paid_back() {
        let mut pairs = Pairs::new(EVERY, 1, START);
        for second in 0..100 {
            let now = START + second * 1_000;
            for phone in 0..10_000 {
                let _ = pairs.take(second as u32 * 10_000 + phone, now);
            }
            pairs.forget(now);
        }
        assert!(
            pairs.paid_back.len() <= 200_000,
            "{} phones are remembered",
            pairs.paid_back.len()
        );
        assert!(pairs.take(990_000, START + 99_000).is_err(), "what counts is not forgotten");
        pairs.forget(START + 2 * LONG);
        assert_eq!((pairs.paid_back.len(), pairs.since), (0, START + 2 * LONG));
    }

    proptest! {
        /// However messages come, however the process is started anew in between: no window of any
        /// length has more than the burst and what was paid back in it.
        #[test]
        fn no_window_has_too_many(
            burst in 1..6_u32,
            waits in proptest::collection::vec(0..9_000_i64, 1..80),
            restart_at in 0..80_usize,
        ) {
            let mut pairs = Pairs::new(EVERY, burst, START);
            let (mut now, mut sent) = (START, Vec::<i64>::new());
            for (step, wait) in waits.into_iter().enumerate() {
                now += wait;
                if step == restart_at {
                    pairs = Pairs::new(EVERY, burst, now);
                    let paid_back = sent.iter().enumerate().map(|(i, at)| at + (sent.len() - i) as i64 * EVERY);
                    pairs.remember(7, paid_back.max().unwrap_or(0), now);
                }
                if pairs.take(7, now).is_ok() {
                    sent.push(now);
                }
            }
            for (first, from) in sent.iter().enumerate() {
                for (last, to) in sent.iter().enumerate().skip(first) {
                    let most = i64::from(burst) + (to - from) / EVERY;
                    prop_assert!((last - first + 1) as i64 <= most);
                }
            }
        }
    }
}
