//! How often one phone may be written to: so many messages at once, then one each `pair_every`.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;

use crate::clock::Clock;
use crate::provider::limiter::governed::{Governed, burst, every};

/// Below this many phones nothing is forgotten before its time.
const FEW: usize = 4_096;

/// The limit of one channel for each phone. Phones are known by their hashes; times are nanoseconds since 1970.
pub struct RecipientLimit {
    quota: Quota,
    permits: Governed<u64>,
    /// The last moment that a message was told which has to wait.
    promised: HashMap<u64, u64>,
    burst: usize,
}

impl RecipientLimit {
    /// `burst` messages at once, then one each `every`; both at least 1.
    pub fn new(every: Duration, burst: u32, clock: Clock) -> RecipientLimit {
        let quota = Quota::with_period(every).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        RecipientLimit {
            quota: quota.allow_burst(burst),
            permits: Governed::new(clock),
            promised: HashMap::new(),
            burst: FEW,
        }
    }

    /// What was sent to a phone before this process is paid back then.
    pub fn remember(&mut self, phone: u64, paid_back: u64) {
        let latest = self.permits.now() + burst(self.quota);
        self.permits.remember(&phone, paid_back.min(latest));
    }

    /// Takes a permit for one message to a phone; or says when there is one, for this message alone.
    pub fn take(&mut self, phone: u64) -> Result<(), u64> {
        self.forget();
        let Err(first) = self.permits.take(&phone, self.quota) else { return Ok(()) };
        let promised = self.promised.entry(phone).or_default();
        *promised = first.max(*promised + every(self.quota));
        Err(*promised)
    }

    /// The permit was not used after all.
    pub fn give_back(&mut self, phone: u64) {
        self.permits.give_back(&phone, self.quota);
    }

    /// The provider says that the phone was written to too often: somebody else does it, too.
    pub fn exhaust(&mut self, phone: u64) {
        self.permits.exhaust(&phone, self.quota);
    }

    /// Forgets phones that have paid back. Cheap unless there are many.
    fn forget(&mut self) {
        if self.permits.count() >= self.burst {
            let now = self.permits.now();
            self.permits.forget();
            self.promised.retain(|_, promised| *promised > now);
            self.burst = (self.permits.count() * 2).max(FEW);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    const EVERY: Duration = Duration::from_secs(6);

    fn limit(burst: u32) -> (RecipientLimit, Clock) {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH + Duration::from_secs(1_000_000));
        (RecipientLimit::new(EVERY, burst, clock.clone()), clock)
    }

    #[test]
    fn a_burst_then_one_each_six_seconds() {
        let (mut limit, clock) = limit(3);
        let (start, every) = (limit.permits.now(), every(limit.quota));
        let taken: Vec<_> = (0..3).map(|_| limit.take(1)).collect();
        assert_eq!(taken, [Ok(()); 3]);
        assert_eq!(limit.take(2), Ok(()), "another phone is not concerned");
        assert_eq!(limit.take(1), Err(start + every));
        assert_eq!(limit.take(1), Err(start + 2 * every), "each gets a moment of its own");
        clock.advance(EVERY);
        assert_eq!(limit.take(1), Ok(()));
        clock.advance(EVERY);
        assert_eq!(limit.take(1), Ok(()));
        assert_eq!(limit.take(1), Err(start + 3 * every));
    }

    #[test]
    fn what_the_provider_says_counts() {
        let (mut limit, _) = limit(3);
        limit.exhaust(1);
        assert_eq!(limit.take(1), Err(limit.permits.now() + every(limit.quota)));
        limit.give_back(1);
        assert_eq!(limit.take(1), Ok(()));
    }

    #[test]
    fn phones_are_forgotten_once_they_have_paid_back() {
        let (mut limit, clock) = limit(1);
        for second in 0..100 {
            for phone in 0..10_000 {
                let _ = limit.take(second * 10_000 + phone);
            }
            clock.advance(Duration::from_secs(1));
        }
        let known = limit.permits.count();
        assert!(known <= 200_000, "{known} phones are remembered");
        assert!(limit.take(990_000).is_err(), "what counts is not forgotten");
    }

    proptest! {
        /// However messages come, however the process is started anew in between: no window of any
        /// length has more than the burst and what was paid back in it.
        #[test]
        fn no_window_has_too_many(
            burst in 1..6_u32,
            waits in proptest::collection::vec(0..9_000_u64, 1..80),
            restart_at in 0..80_usize,
        ) {
            let (mut limit, clock) = limit(burst);
            let (every, mut sent) = (every(limit.quota), Vec::<u64>::new());
            for (step, wait) in waits.into_iter().enumerate() {
                clock.advance(Duration::from_millis(wait));
                if step == restart_at {
                    limit = RecipientLimit::new(EVERY, burst, clock.clone());
                    let paid_back = sent.iter().enumerate().map(|(i, at)| at + (sent.len() - i) as u64 * every);
                    limit.remember(7, paid_back.max().unwrap_or(0));
                }
                if limit.take(7).is_ok() {
                    sent.push(limit.permits.now());
                }
            }
            for (first, from) in sent.iter().enumerate() {
                for (last, to) in sent.iter().enumerate().skip(first) {
                    let most = u64::from(burst) + (to - from) / every;
                    prop_assert!((last - first + 1) as u64 <= most);
                }
            }
        }
    }
}
