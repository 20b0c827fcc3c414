//! How many different phones may be written to within any 24 hours. The description stands in
//! `provider/limiter.rs`. Times are milliseconds since 1970.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};

/// The window.
pub const DAY: i64 = 86_400_000;

/// The phones of the last 24 hours, by their hash.
#[derive(Debug)]
pub struct UniqueRecipients {
    most: usize,
    written: HashMap<u64, i64>,
    by_time: BTreeSet<(i64, u64)>,
    /// The place that was promised last to a message which has to wait.
    promised: (i64, u64),
}

impl UniqueRecipients {
    /// At most so many phones, at least 1.
    pub fn new(most: usize) -> UniqueRecipients {
        UniqueRecipients {
            most: most.max(1),
            written: HashMap::new(),
            by_time: BTreeSet::new(),
            promised: (0, 0),
        }
    }

    /// A phone was written to.
    pub fn remember(&mut self, phone: u64, at: i64) {
        match self.written.insert(phone, at) {
            Some(before) if before >= at => {
                self.written.insert(phone, before);
                return;
            }
            Some(before) => drop(self.by_time.remove(&(before, phone))),
            None => {}
        }
        self.by_time.insert((at, phone));
    }

    /// Takes a place for a message to a phone now; or says when one is free that was not promised to
    /// another message yet.
    pub fn take(&mut self, phone: u64, now: i64) -> Result<(), i64> {
        self.forget(now);
        if self.written.contains_key(&phone) || self.written.len() < self.most {
            self.remember(phone, now);
            return Ok(());
        }
        let next = self.by_time.range((Excluded(self.promised), Unbounded)).next();
        // Each place is promised once; who comes after that asks again at the end of the day.
        self.promised = *next.or(self.by_time.last()).unwrap_or(&(now, 0));
        Err(self.promised.0 + DAY)
    }

    fn forget(&mut self, now: i64) {
        while let Some((at, phone)) =
            self.by_time.first().copied().filter(|(at, _)| at + DAY <= now)
        {
            self.by_time.remove(&(at, phone));
            self.written.remove(&phone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const HOUR: i64 = DAY / 24;

    #[test]
    fn phones_count_not_messages_and_each_waits_for_a_place_of_its_own() {
        let mut daily = UniqueRecipients::new(2);
        assert_eq!(daily.take(1, DAY), Ok(()));
        assert_eq!(daily.take(2, DAY + HOUR), Ok(()));
        assert_eq!(daily.take(3, DAY + HOUR), Err(2 * DAY));
        assert_eq!(daily.take(4, DAY + HOUR), Err(2 * DAY + HOUR));
        assert_eq!(daily.take(5, DAY + HOUR), Err(2 * DAY + HOUR), "no place is left to promise");
        assert_eq!(daily.take(1, DAY + 2 * HOUR), Ok(()), "one that was written to anyway");
        assert_eq!(daily.take(3, 2 * DAY), Err(2 * DAY + 2 * HOUR), "that place is taken again");
        assert_eq!(daily.take(4, 2 * DAY + HOUR), Ok(()));
    }

    proptest! {
        #[test]
        fn no_day_has_more_phones(
            most in 1..5_usize, steps in proptest::collection::vec((0..9_u64, 0..8_i64), 1..120)
        ) {
            let mut daily = UniqueRecipients::new(most);
            let (mut now, mut sent) = (DAY, Vec::new());
            for (phone, hours) in steps {
                now += hours * HOUR;
                if daily.take(phone, now).is_ok() {
                    sent.push((now, phone));
                }
            }
            for (from, _) in &sent {
                let day = sent.iter().filter(|(at, _)| (*from..from + DAY).contains(at));
                let phones: HashSet<u64> = day.map(|(_, phone)| *phone).collect();
                prop_assert!(phones.len() <= most);
            }
        }
    }
}
