//! How fast a channel may send: all limits of a channel, in one place. Limits defer, they never drop.
//!
//! **The rate** (`domain/limit/adaptive_rate.rs`). A bucket holds a tenth of a second's worth, at least one message, and is
//! refilled at the rate: that keeps it even. Besides, what left within the last second and what has a
//! permit but has not left yet are together never more than the rate: so no second has more than that,
//! even after requests have piled up behind a slow answer. `permits` takes what is there, compose and claim
//! lease no more than that, `leaves` notes the moment of each request, and what is not used is given back.
//! What is not there waits in the queue as it is.
//!
//! **Learning.** When the provider says that it was too fast (429, 130429, 80007 …), the rate is halved at
//! once, at most once a second and never below a hundredth; it grows back evenly, from nothing to the
//! configured rate within ten minutes. Both are one number and its time in rowbell.channel, so that a
//! restart changes nothing. `Retry-After` stops the lane besides.
//!
//! **Pairs** (`domain/limit/per_recipient.rs`). One phone gets `pair_burst` messages at once, then one each `pair_every`:
//! by the time at which what was sent is paid back, which must not lie further ahead than the burst. A
//! message that has to wait gets a time of its own, after those that were told to wait before it; others
//! pass. When the provider says 131056, somebody else writes to that phone, too: its burst is used up.
//!
//! **Recipients** (`domain/limit/unique_recipients.rs`). At most `daily_recipients` different phones within any 24 hours: who
//! was written to within them may be written to again; somebody new waits until another one leaves the
//! window, each for a place of its own.
//!
//! **Shares** (`domain/limit/fair_share.rs`). Where messages of several watches wait for one channel, compose takes
//! them in turn, as their `share` says; what one does not need is the others'. Once something waits, claim
//! sends nothing past it.
//!
//! **What is remembered.** One daemon owns a channel (see `pipeline/deliver/channel_lease.rs`), so its memory is exact. When
//! it becomes the owner it reads what was sent from rowbell.attempt, whoever sent it: an attempt counts
//! from the latest moment at which it can have left. No message costs a question of its own.
//!
//! Time comes from our `Clock`, so that tests can move it by hand. Governor counted the rate before: it can neither
//! be told what was sent before a restart nor change its rate, and its burst comes on top of the rate of a second.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::config::Limits;
use crate::config::units::Rate;
use crate::domain::limit::adaptive_rate::{Learned, Pace};
use crate::domain::limit::burst::hashed;
use crate::domain::limit::per_recipient::Pairs;
use crate::domain::limit::unique_recipients::Daily;

/// The limits of one channel.
pub struct Limiter {
    clock: Clock,
    configured: Rate,
    limits: Limits,
    counted: Mutex<Counted>,
}

struct Counted {
    pace: Pace,
    pairs: Option<Pairs>,
    daily: Option<Daily>,
}

/// Why one message has to wait, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Pair(Timestamp),
    Recipients(Timestamp),
}

/// What was sent on a channel before this process came to own it.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Messages of the last while, oldest first, those of about the same moment together.
    pub left: Vec<(Timestamp, usize)>,
    /// Phones that were written to lately, and when that is paid back.
    pub pairs: Vec<(String, Timestamp)>,
    /// Phones of the last 24 hours, and when each was written to last.
    pub recipients: Vec<(String, Timestamp)>,
    pub learned: Option<(f64, Timestamp)>,
}

impl Limiter {
    /// A limiter that knows no past.
    pub fn new(rate: Rate, limits: Limits, clock: Clock) -> Limiter {
        let counted = Counted::new(rate, limits, clock.now());
        Limiter { configured: rate, limits, counted: Mutex::new(counted), clock }
    }

    /// Begins anew, with what was sent before.
    pub fn remember(&self, past: Past) {
        let now = self.clock.now();
        let mut counted = Counted::new(self.configured, self.limits, now);
        let left: Vec<(i64, usize)> = past.left.iter().map(|(at, n)| (nanos(*at), *n)).collect();
        let learned = past.learned.map(|(rate, at)| Learned { rate, at: nanos(at) });
        counted.pace.remember(&left, learned, nanos(now));
        if let Some(pairs) = &mut counted.pairs {
            let due = past.pairs.iter().map(|(phone, at)| (short(hashed(phone)), millis(*at)));
            due.for_each(|(phone, at)| pairs.remember(phone, at, millis(now)));
        }
        if let Some(daily) = &mut counted.daily {
            past.recipients
                .iter()
                .for_each(|(phone, at)| daily.remember(hashed(phone), millis(*at)));
        }
        *self.counted() = counted;
    }

    /// How far back what was sent to one phone may matter; none without that limit.
    pub fn pair_memory(&self) -> Option<Duration> {
        self.limits.pair().map(|(every, burst)| every * burst)
    }

    /// Whether different phones are counted.
    pub fn counts_recipients(&self) -> bool {
        self.limits.daily_recipients > 0
    }

    /// Takes as many permits as there are now, up to `want`.
    pub fn permits(&self, want: usize) -> usize {
        self.counted().pace.take(want, self.now())
    }

    /// Takes `want` permits, or none if there are fewer.
    pub fn all_or_none(&self, want: usize) -> bool {
        let (mut counted, now) = (self.counted(), self.now());
        counted.pace.room(want, now) == want && counted.pace.take(want, now) == want
    }

    /// Permits that were not used after all.
    pub fn give_back(&self, count: usize) {
        self.counted().pace.give_back(count);
    }

    /// A message with a permit leaves now.
    pub fn leaves(&self) {
        self.counted().pace.leaves(self.now());
    }

    /// How long until there may be a permit after all were taken. Takes none.
    pub fn next_in(&self) -> Duration {
        let now = self.now();
        let next = self.counted().pace.next_at(now);
        Duration::from_nanos(u64::try_from(next - now).unwrap_or(0)).max(Duration::from_millis(1))
    }

    /// Takes a place for a message to this phone, or says why it has to wait.
    pub fn admit(&self, phone: &str) -> Result<(), Wait> {
        let mut counted = self.counted();
        let Counted { pairs, daily, .. } = &mut *counted;
        if pairs.is_none() && daily.is_none() {
            return Ok(());
        }
        let (now, phone) = (millis(self.clock.now()), hashed(phone));
        if let Some(pairs) = pairs {
            pairs.forget(now);
            pairs.take(short(phone), now).map_err(|at| Wait::Pair(moment(at)))?;
        }
        if let Some(daily) = daily
            && let Err(at) = daily.take(phone, now)
        {
            pairs.iter_mut().for_each(|pairs| pairs.give_back(short(phone)));
            return Err(Wait::Recipients(moment(at)));
        }
        Ok(())
    }

    /// The provider says that this phone was written to too often.
    pub fn exhaust(&self, phone: &str) {
        let now = millis(self.clock.now());
        self.counted().pairs.iter_mut().for_each(|pairs| pairs.exhaust(short(hashed(phone)), now));
    }

    /// The provider refused for the rate: what was learned by it, if that is news.
    pub fn cut(&self) -> Option<(f64, Timestamp)> {
        let now = self.clock.now();
        let learned = self.counted().pace.cut(nanos(now))?;
        Some((learned.rate, now))
    }

    fn now(&self) -> i64 {
        nanos(self.clock.now())
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        // Counts are right at every line; a panic elsewhere does not spoil them.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn new(rate: Rate, limits: Limits, now: Timestamp) -> Counted {
        Counted {
            pace: Pace::new(rate.as_per_second(), nanos(now)),
            pairs: limits.pair().map(|(every, burst)| {
                let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
                Pairs::new(every, burst, millis(now))
            }),
            daily: (limits.daily_recipients > 0)
                .then(|| Daily::new(limits.daily_recipients as usize)),
        }
    }
}

/// Half of a hash is as good as a whole one where a mistake does no harm.
fn short(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(0)
}

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

fn moment(at_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(limits: Limits) -> (Limiter, Clock) {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH + Duration::from_secs(1_000_000));
        (Limiter::new(Rate::per_second(10), limits, clock.clone()), clock)
    }

    #[test]
    fn without_limits_everybody_may_be_written_to() {
        let (limiter, _) = limiter(Limits::none());
        assert!((0..1_000).all(|_| limiter.admit("12025550143").is_ok()));
    }

    /// A place that the other limit does not let a message use is there for the next one.
    #[test]
    fn a_message_that_waits_takes_no_place() {
        let limits = Limits { pair_burst: 1, daily_recipients: 1, ..Limits::none() };
        let (limiter, clock) = limiter(limits);
        assert_eq!(limiter.admit("1"), Ok(()));
        assert!(matches!(limiter.admit("1"), Err(Wait::Pair(_))));
        assert!(matches!(limiter.admit("2"), Err(Wait::Recipients(_))));
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(limiter.admit("2"), Ok(()));
    }

    #[test]
    fn a_new_owner_knows_what_was_sent() {
        let limits = Limits { pair_burst: 1, daily_recipients: 2, ..Limits::none() };
        let (limiter, clock) = limiter(limits);
        let now = clock.now();
        limiter.remember(Past {
            left: vec![(now - Duration::from_millis(500), 10)],
            pairs: vec![("1".into(), now + Duration::from_secs(3))],
            recipients: vec![("1".into(), now), ("2".into(), now - Duration::from_secs(60))],
            learned: Some((2.0, now)),
        });
        assert_eq!(limiter.permits(5), 0);
        assert_eq!(limiter.admit("1"), Err(Wait::Pair(now + Duration::from_secs(3))));
        assert!(matches!(limiter.admit("3"), Err(Wait::Recipients(_))));
        assert_eq!(limiter.admit("2"), Ok(()));
        assert_eq!(limiter.cut(), None, "it was cut a moment ago");
    }
}
