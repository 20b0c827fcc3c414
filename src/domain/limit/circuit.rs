//! When a channel or a template is stopped by errors, and how long it rests: counted, not felt.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use strum::{EnumString, IntoStaticStr, VariantArray};

/// Whether a channel or template sends. The words are those of `rowbell.circuit_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum CircuitState {
    Closed,
    /// Stopped by errors.
    Open,
    /// One message is tried; what becomes of it decides.
    Probing,
}

/// What one circuit is about: a channel, or a template in one language on a channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CircuitKey {
    pub channel: String,
    /// Name of the template at the provider, and its language code there. None: the whole channel.
    pub template: Option<(String, String)>,
}

impl CircuitKey {
    pub fn channel(channel: &str) -> CircuitKey {
        CircuitKey { channel: channel.to_owned(), template: None }
    }

    pub fn template(channel: &str, template: &str, language: &str) -> CircuitKey {
        let template = Some((template.to_owned(), language.to_owned()));
        CircuitKey { channel: channel.to_owned(), template }
    }

    /// How a message that waits for it says so.
    pub fn is_stopped(&self) -> String {
        format!("{self} is stopped")
    }
}

impl fmt::Display for CircuitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.template {
            None => write!(f, "channel {}", self.channel),
            Some((name, language)) => {
                write!(f, "template {name} ({language}) on channel {}", self.channel)
            }
        }
    }
}

/// When a share of permanent errors stops a circuit.
#[derive(Clone, Copy, Debug)]
pub struct TripRules {
    /// How far back outcomes count.
    pub window: Duration,
    /// Outcomes that there must be before their share means anything, at least 1.
    pub minimum: u32,
    /// The share of permanent errors that stops it, above 0 and up to 1.
    pub share: f64,
}

/// Refused messages that are remembered, so that they can be taken back.
const MAX_REFUSED: usize = 10_000;

/// The outcomes of the last while, by second.
#[derive(Debug, Default)]
pub struct ErrorTally {
    seconds: VecDeque<Second>,
    /// Messages that ended because they were refused, and when.
    refused: VecDeque<(Timestamp, i64)>,
}

#[derive(Debug)]
struct Second {
    at: i64,
    good: u32,
    bad: u32,
}

/// A sudden share of permanent errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBurst {
    pub bad: u32,
    pub all: u32,
    /// The messages that it ended, as far as they are remembered.
    pub refused: Vec<i64>,
}

impl ErrorTally {
    /// So many outcomes that were no permanent errors.
    pub fn good(&mut self, now: Timestamp, count: u32) {
        self.second(now).good += count;
    }

    /// A permanent error, and the message that it ended.
    pub fn bad(&mut self, now: Timestamp, refused: i64) {
        self.second(now).bad += 1;
        self.refused.push_back((now, refused));
        if self.refused.len() > MAX_REFUSED {
            self.refused.pop_front();
        }
    }

    fn second(&mut self, now: Timestamp) -> &mut Second {
        let at = now.as_second();
        if self.seconds.back().is_none_or(|last| last.at < at) {
            self.seconds.push_back(Second { at, good: 0, bad: 0 });
        }
        let last = self.seconds.len() - 1;
        &mut self.seconds[last]
    }

    /// Whether there are too many permanent errors by now. If so, counting begins anew.
    pub fn burst(&mut self, now: Timestamp, rules: TripRules) -> Option<ErrorBurst> {
        let begin = now - rules.window;
        while self.seconds.front().is_some_and(|second| second.at < begin.as_second()) {
            self.seconds.pop_front();
        }
        while self.refused.front().is_some_and(|(at, _)| *at < begin) {
            self.refused.pop_front();
        }
        let bad: u32 = self.seconds.iter().map(|second| second.bad).sum();
        let all: u32 = bad + self.seconds.iter().map(|second| second.good).sum::<u32>();
        if all < rules.minimum.max(1) || f64::from(bad) < rules.share * f64::from(all) {
            return None;
        }
        let refused = std::mem::take(self).refused.into_iter().map(|(_, id)| id).collect();
        Some(ErrorBurst { bad, all, refused })
    }
}

/// How long a circuit rests before one message is tried.
#[derive(Clone, Copy, Debug)]
pub struct CircuitPauses {
    pub first: Duration,
    pub longest: Duration,
}

impl CircuitPauses {
    /// The pause after one that did not help; the first when there was none.
    pub fn after(self, last: Option<Duration>) -> Duration {
        last.map_or(self.first, |last| last.saturating_mul(2)).min(self.longest).max(self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: TripRules = TripRules { window: Duration::from_secs(60), minimum: 10, share: 0.5 };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap_or_default()
    }

    #[test]
    fn a_few_errors_are_no_burst_and_neither_is_a_small_share() {
        let mut tally = ErrorTally::default();
        (0..9).for_each(|i| tally.bad(at(0), i));
        assert_eq!(tally.burst(at(0), RULES), None, "nine outcomes say nothing yet");
        tally.good(at(1), 10);
        assert_eq!(tally.burst(at(1), RULES), None, "9 of 19");
        tally.bad(at(2), 9);
        let burst = tally.burst(at(2), RULES);
        assert_eq!(burst, Some(ErrorBurst { bad: 10, all: 20, refused: (0..10).collect() }));
        assert_eq!(tally.burst(at(2), RULES), None, "counting begins anew");
    }

    #[test]
    fn what_is_long_past_does_not_count() {
        let mut tally = ErrorTally::default();
        (0..9).for_each(|i| tally.bad(at(0), i));
        tally.bad(at(61), 9);
        assert_eq!(tally.burst(at(61), RULES), None);
        (10..19).for_each(|i| tally.bad(at(62), i));
        assert_eq!(tally.burst(at(62), RULES).map(|burst| burst.refused), Some((9..19).collect()));
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let pauses =
            CircuitPauses { first: Duration::from_secs(60), longest: Duration::from_secs(200) };
        let mut last = None;
        let seconds: Vec<u64> = (0..4)
            .map(|_| {
                last = Some(pauses.after(last));
                last.unwrap_or_default().as_secs()
            })
            .collect();
        assert_eq!(seconds, [60, 120, 200, 200]);
    }
}
