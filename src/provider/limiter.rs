//! How fast a channel may send: all limits of a channel, in one place. Limits defer, they never drop.
//!
//! **The rate** (`rate_limit.rs`). No second has more. Compose and claim lease what may leave within the next tenth
//! of a second, and at least one message once its time has come. Deliver takes a permit for each where its
//! request leaves, so that requests that have piled up behind a slow answer do not leave together. What may not
//! be leased yet waits in the queue as it is.
//!
//! **Learning** (`domain/adaptive_rate.rs`). When the provider says that it was too fast (429, 130429, 80007 …), the
//! rate is halved at once, at most once a second and never below a hundredth; it grows back evenly, from nothing
//! to the configured rate within ten minutes. Both are one number and its time in rowbell.channel, so that a
//! restart changes nothing. `Retry-After` stops the channel sender besides.
//!
//! **Per recipient** (`recipient_limit.rs`). One phone gets `pair_burst` messages at once, then one each
//! `pair_every`. A message that has to wait gets a time of its own, after those that were told to wait before it;
//! others pass. When the provider says 131056, somebody else writes to that phone, too: its burst is used up.
//!
//! **Unique recipients** (`domain/limit/unique_recipients.rs`). At most `daily_recipients` different phones within any 24 hours: who
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
//! Governor counts the rate and the limit per recipient, with a clock and with numbers of ours (`governed.rs`). All
//! limits count by the steady clock: whoever sets another one back or forward changes nothing. Times that come from
//! the database or go there are turned into it and back.

mod governed;
mod rate_limit;
mod recipient_limit;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::config::ChannelLimits;
use crate::config::units::Rate;
use crate::domain::limit::adaptive_rate::Learned;
use crate::domain::limit::burst::hashed;
use crate::domain::limit::unique_recipients::UniqueRecipients;
use rate_limit::RateLimit;
use recipient_limit::RecipientLimit;

/// The limits of one channel.
pub struct Limiter {
    clock: Clock,
    configured: Rate,
    limits: ChannelLimits,
    counted: Mutex<Counted>,
}

struct Counted {
    rate: RateLimit,
    per_recipient: Option<RecipientLimit>,
    daily: Option<UniqueRecipients>,
}

/// Why one message has to wait, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitWait {
    Pair(Timestamp),
    Recipients(Timestamp),
}

/// What was sent on a channel before this process came to own it.
#[derive(Clone, Debug, Default)]
pub struct SentBefore {
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
    pub fn new(rate: Rate, limits: ChannelLimits, clock: Clock) -> Limiter {
        let counted = Counted::new(rate, limits, &clock);
        Limiter { configured: rate, limits, counted: Mutex::new(counted), clock }
    }

    /// Begins anew, with what was sent before.
    pub fn remember(&self, past: SentBefore) {
        let mut counted = Counted::new(self.configured, self.limits, &self.clock);
        let left: Vec<(u64, usize)> =
            past.left.iter().map(|(at, n)| (self.steady(*at), *n)).collect();
        let learned =
            past.learned.map(|(rate, at)| Learned { rate, at: self.steady(at).cast_signed() });
        counted.rate.remember(&left, learned);
        if let Some(limit) = &mut counted.per_recipient {
            let paid_back = past.pairs.iter().map(|(phone, at)| (hashed(phone), self.steady(*at)));
            paid_back.for_each(|(phone, at)| limit.remember(phone, at));
        }
        if let Some(daily) = &mut counted.daily {
            past.recipients
                .iter()
                .for_each(|(phone, at)| daily.remember(hashed(phone), millis(self.steady(*at))));
        }
        *self.counted() = counted;
    }

    /// How many messages a second may leave now.
    pub fn rate_per_second(&self) -> f64 {
        self.counted().rate.per_second()
    }

    /// How far back what was sent to one phone may matter; none without that limit.
    pub fn recipient_memory(&self) -> Option<Duration> {
        self.limits.pair().map(|(every, burst)| every * burst)
    }

    /// Whether different phones are counted.
    pub fn counts_recipients(&self) -> bool {
        self.limits.daily_recipients > 0
    }

    /// Leases as many messages as may leave soon, up to `want`.
    pub fn lease(&self, want: usize) -> usize {
        self.counted().rate.lease(want)
    }

    /// Leases `want` messages, or none if fewer may leave soon.
    pub fn lease_all(&self, want: usize) -> bool {
        let mut counted = self.counted();
        counted.rate.room(want) == want && counted.rate.lease(want) == want
    }

    /// Messages that were not leased after all, or do not leave.
    pub fn withdraw(&self, count: usize) {
        self.counted().rate.withdraw(count);
    }

    /// Takes a permit for a leased message that leaves now; or says how long there is none.
    pub fn take_permit(&self) -> Result<(), Duration> {
        self.counted().rate.take()
    }

    /// The message did not leave after all.
    pub fn give_back_permit(&self) {
        self.counted().rate.give_back();
    }

    /// How long until more may be leased after all was. Leases nothing.
    pub fn next_in(&self) -> Duration {
        self.counted().rate.room_in().max(Duration::from_millis(1))
    }

    /// Takes a place for a message to this phone, or says why it has to wait.
    pub fn admit(&self, phone: &str) -> Result<(), LimitWait> {
        let mut counted = self.counted();
        let Counted { per_recipient, daily, .. } = &mut *counted;
        if per_recipient.is_none() && daily.is_none() {
            return Ok(());
        }
        let phone = hashed(phone);
        if let Some(limit) = per_recipient {
            limit.take(phone).map_err(|at| LimitWait::Pair(self.moment(at)))?;
        }
        if let Some(daily) = daily
            && let Err(at) = daily.take(phone, self.clock.steady().as_millisecond())
        {
            per_recipient.iter_mut().for_each(|limit| limit.give_back(phone));
            return Err(LimitWait::Recipients(self.moment(at as u64 * 1_000_000)));
        }
        Ok(())
    }

    /// The provider says that this phone was written to too often.
    pub fn exhaust(&self, phone: &str) {
        self.counted().per_recipient.iter_mut().for_each(|limit| limit.exhaust(hashed(phone)));
    }

    /// The provider refused for the rate what was sent at that time, where that is known: what was learned by it, if
    /// that is news.
    pub fn cut(&self, sent_at: Option<Timestamp>) -> Option<(f64, Timestamp)> {
        let sent_at = sent_at.map(|at| self.steady(at).cast_signed());
        let learned = self.counted().rate.cut(sent_at)?;
        Some((learned.rate, self.moment(learned.at as u64)))
    }

    /// What the steady clock showed when it was that time, or will show.
    fn steady(&self, at: Timestamp) -> u64 {
        let from_now = at.duration_since(self.clock.now());
        nanos(self.clock.steady().saturating_add(from_now).unwrap_or(at))
    }

    /// The time of the steady clock, as others know it.
    fn moment(&self, nanos: u64) -> Timestamp {
        let at = Timestamp::from_nanosecond(nanos.into()).unwrap_or(Timestamp::MAX);
        let from_now = at.duration_since(self.clock.steady());
        self.clock.now().saturating_add(from_now).unwrap_or(at)
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        // Counts are right at every line; a panic elsewhere does not spoil them.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn new(rate: Rate, limits: ChannelLimits, clock: &Clock) -> Counted {
        Counted {
            rate: RateLimit::new(rate.as_per_second(), clock.clone()),
            per_recipient: limits
                .pair()
                .map(|(every, burst)| RecipientLimit::new(every, burst, clock.clone())),
            daily: (limits.daily_recipients > 0)
                .then(|| UniqueRecipients::new(limits.daily_recipients as usize)),
        }
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

fn millis(nanos: u64) -> i64 {
    (nanos / 1_000_000).cast_signed()
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    fn limiter(limits: ChannelLimits) -> (Limiter, Clock) {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH + Duration::from_secs(1_000_000));
        (Limiter::new(Rate::per_second(10), limits, clock.clone()), clock)
    }

    #[test]
    fn without_limits_everybody_may_be_written_to() {
        let (limiter, _) = limiter(ChannelLimits::none());
        assert!((0..1_000).all(|_| limiter.admit("12025550143").is_ok()));
    }

    /// A place that the other limit does not let a message use is there for the next one.
    #[test]
    fn a_message_that_waits_takes_no_place() {
        let limits = ChannelLimits { pair_burst: 1, daily_recipients: 1, ..ChannelLimits::none() };
        let (limiter, clock) = limiter(limits);
        assert_eq!(limiter.admit("1"), Ok(()));
        assert!(matches!(limiter.admit("1"), Err(LimitWait::Pair(_))));
        assert!(matches!(limiter.admit("2"), Err(LimitWait::Recipients(_))));
        clock.advance(Duration::from_secs(86_400));
        assert_eq!(limiter.admit("2"), Ok(()));
    }

    /// A clock that was ahead is set right, or a machine wakes up: messages waited as long as it had been ahead.
    #[test]
    fn a_clock_that_is_set_back_stops_nobody() {
        let limits = ChannelLimits { pair_burst: 1, daily_recipients: 2, ..ChannelLimits::none() };
        let (limiter, clock) = limiter(limits);
        assert_eq!((limiter.take_permit(), limiter.admit("1")), (Ok(()), Ok(())));
        clock.set_back(Duration::from_secs(3_600));
        let before = clock.now();
        assert!(limiter.take_permit().is_err_and(|wait| wait <= Duration::from_secs(1)));
        let Err(LimitWait::Pair(at)) = limiter.admit("1") else { panic!("one at once") };
        assert!(at.duration_since(before).as_secs() <= 6, "{at}");
        clock.advance(Duration::from_secs(6));
        assert_eq!((limiter.take_permit(), limiter.admit("1")), (Ok(()), Ok(())));
        assert_eq!(limiter.admit("2"), Ok(()));
        let Err(LimitWait::Recipients(at)) = limiter.admit("3") else { panic!("two a day") };
        assert!(at.duration_since(before).as_secs() <= 86_406, "{at}");
        limiter.cut(None);
        clock.set_back(Duration::from_secs(3_600));
        clock.advance(Duration::from_secs(600));
        assert_eq!(limiter.cut(None).map(|(rate, _)| rate), Some(5.0), "it had grown back");
    }

    #[test]
    fn a_new_owner_knows_what_was_sent() {
        let limits = ChannelLimits { pair_burst: 1, daily_recipients: 2, ..ChannelLimits::none() };
        let (limiter, clock) = limiter(limits);
        let now = clock.now();
        limiter.remember(SentBefore {
            left: vec![(now - Duration::from_millis(500), 10)],
            pairs: vec![("1".into(), now + Duration::from_secs(3))],
            recipients: vec![("1".into(), now), ("2".into(), now - Duration::from_secs(60))],
            learned: Some((2.0, now)),
        });
        assert!(limiter.take_permit().is_err());
        assert_eq!(limiter.admit("1"), Err(LimitWait::Pair(now + Duration::from_secs(3))));
        assert!(matches!(limiter.admit("3"), Err(LimitWait::Recipients(_))));
        assert_eq!(limiter.admit("2"), Ok(()));
        assert_eq!(limiter.cut(None), None, "it was cut a moment ago");
    }
}
