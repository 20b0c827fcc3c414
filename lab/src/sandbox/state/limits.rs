//! The limits of a number: throughput, pair, recipients a day.

use std::collections::{HashMap, VecDeque};

use crate::sandbox::options::LimitOptions;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Meta: one message each 6 s to the same user.
const PAIR_EVERY: i64 = 6 * SECOND;
/// Above this many phones the pair limiter forgets those that have paid back their burst.
const MANY_PAIRS: usize = 100_000;

/// Counts what a channel accepted against its limits. Times are nanoseconds.
#[derive(Default)]
pub struct Limits {
    options: LimitOptions,
    /// When the burst of the whole number is paid back.
    number: i64,
    pairs: HashMap<u64, i64>,
    /// When each phone was last written to, and those times in order.
    recipients: HashMap<u64, i64>,
    written: VecDeque<(i64, u64)>,
}

impl Limits {
    pub fn new(options: LimitOptions) -> Limits {
        Limits { options, ..Limits::default() }
    }

    /// Takes a place for one message, or gives the code of the limit that refuses it; a refused
    /// message takes no place anywhere.
    pub fn admit(&mut self, phone: u64, now: i64) -> Result<(), i32> {
        let number = self.number_after(now).ok_or(130429)?;
        let pair = self.pair_after(phone, now).ok_or(131056)?;
        self.take_recipient(phone, now)?;
        self.number = number.unwrap_or(self.number);
        if let Some(pair) = pair {
            self.pairs.insert(phone, pair);
            self.forget_pairs(now);
        }
        Ok(())
    }

    fn number_after(&self, now: i64) -> Option<Option<i64>> {
        let Some(rate) = self.options.per_second else {
            return Some(None);
        };
        paid_back(self.number, now, SECOND / i64::from(rate.max(1)), rate).map(Some)
    }

    fn pair_after(&self, phone: u64, now: i64) -> Option<Option<i64>> {
        let Some(burst) = self.options.pair_burst else {
            return Some(None);
        };
        let before = self.pairs.get(&phone).copied().unwrap_or(0);
        paid_back(before, now, PAIR_EVERY, burst).map(Some)
    }

    fn forget_pairs(&mut self, now: i64) {
        if self.pairs.len() > MANY_PAIRS {
            self.pairs.retain(|_, paid_back| *paid_back > now);
        }
    }

    fn take_recipient(&mut self, phone: u64, now: i64) -> Result<(), i32> {
        let Some(budget) = self.options.recipients_per_day else {
            return Ok(());
        };
        while let Some((at, old)) = self.written.front().copied() {
            if at > now - DAY {
                break;
            }
            self.written.pop_front();
            if self.recipients.get(&old) == Some(&at) {
                self.recipients.remove(&old);
            }
        }
        let known = self.recipients.contains_key(&phone);
        if !known && self.recipients.len() >= budget as usize {
            return Err(131048);
        }
        self.recipients.insert(phone, now);
        self.written.push_back((now, phone));
        Ok(())
    }
}

/// The generic cell rate algorithm: when `burst` messages, one each `every`, are paid back after
/// one more; none if the burst is used up.
fn paid_back(before: i64, now: i64, every: i64, burst: u32) -> Option<i64> {
    let after = before.max(now) + every;
    (after - now <= every * i64::from(burst.max(1))).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_to_one_phone_is_paid_back_at_one_in_six_seconds() {
        let mut limits =
            Limits::new(LimitOptions { pair_burst: Some(2), ..LimitOptions::default() });
        let start = DAY;
        assert_eq!(limits.admit(1, start), Ok(()));
        assert_eq!(limits.admit(1, start), Ok(()));
        assert_eq!(limits.admit(1, start), Err(131056));
        assert_eq!(limits.admit(2, start), Ok(()));
        assert_eq!(limits.admit(1, start + PAIR_EVERY), Ok(()));
        assert_eq!(limits.admit(1, start + PAIR_EVERY), Err(131056));
    }

    #[test]
    fn the_throughput_of_a_number_is_a_second_deep() {
        let mut limits =
            Limits::new(LimitOptions { per_second: Some(80), ..LimitOptions::default() });
        let accepted = (0..100).filter(|phone| limits.admit(*phone, DAY).is_ok());
        assert_eq!(accepted.count(), 80);
        assert_eq!(limits.admit(1, DAY), Err(130429));
        assert_eq!(limits.admit(1, DAY + SECOND / 80), Ok(()));
    }

    #[test]
    fn the_budget_of_a_day_counts_phones_not_messages() {
        let mut limits =
            Limits::new(LimitOptions { recipients_per_day: Some(2), ..LimitOptions::default() });
        assert_eq!(limits.admit(1, DAY), Ok(()));
        assert_eq!(limits.admit(2, DAY + 1), Ok(()));
        assert_eq!(limits.admit(1, DAY + 2), Ok(()));
        assert_eq!(limits.admit(3, DAY + 3), Err(131048));
        // Phone 1 was written to again, so only phone 2 has left the window.
        assert_eq!(limits.admit(3, DAY + DAY + 1), Ok(()));
        assert_eq!(limits.admit(4, DAY + DAY + 1), Err(131048));
    }
}
