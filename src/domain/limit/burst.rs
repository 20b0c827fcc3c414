//! When changes are a storm: more entities of one watch than anybody would change on purpose, within
//! a minute.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;

/// How far apart the changes of one storm may be.
pub const WINDOW: Duration = Duration::from_secs(60);

/// The entities of one watch that changed last, one more than may change within a minute. Time is
/// that of the changes, so catching up after a pause is no storm.
#[derive(Debug, Default)]
pub struct BurstWindow {
    recent: VecDeque<(Timestamp, u64)>,
    known: HashSet<u64>,
}

impl BurstWindow {
    /// An entity changed. Says since when there are more than `limit` within a minute, if there are.
    /// One that changes again and again counts once.
    pub fn join(&mut self, entity_key: &str, at: Timestamp, limit: usize) -> Option<Timestamp> {
        let entity = hashed(entity_key);
        if self.known.insert(entity) {
            self.recent.push_back((at, entity));
        }
        while self.recent.len() > limit + 1 {
            if let Some((_, gone)) = self.recent.pop_front() {
                self.known.remove(&gone);
            }
        }
        let (first, _) = self.recent.front()?;
        (self.recent.len() > limit && at <= *first + WINDOW).then_some(*first)
    }
}

/// A text in eight bytes, the same in one process: what matters is which differ.
pub fn hashed(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn more_entities_than_the_limit_within_a_minute_are_a_storm() {
        let mut burst = BurstWindow::default();
        for second in 0..3 {
            assert_eq!(burst.join(&second.to_string(), at(second), 3), None);
        }
        assert_eq!(burst.join("3", at(59), 3), Some(at(0)));
        // It goes on as long as they come that fast, and is over when they do not.
        assert_eq!(burst.join("4", at(61), 3), Some(at(1)));
        assert_eq!(burst.join("5", at(200), 3), None);
    }

    #[test]
    fn one_entity_that_changes_all_the_time_is_no_storm() {
        let mut burst = BurstWindow::default();
        assert!((0..100).all(|second| burst.join("7", at(second), 3).is_none()));
    }

    #[test]
    fn a_steady_stream_below_the_limit_is_no_storm() {
        let mut burst = BurstWindow::default();
        assert!((0..100).all(|i| burst.join(&i.to_string(), at(i * 21), 3).is_none()));
    }
}
