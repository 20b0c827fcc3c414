//! A rate that learns from the provider: a refusal halves it, and it grows back evenly. Times are
//! nanoseconds since 1970.

const SECOND: i64 = 1_000_000_000;

/// A learned rate grows back from nothing to the configured one within so many seconds.
const RECOVERY_SECONDS: f64 = 600.0;

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

/// Messages a second: as configured, or fewer.
#[derive(Clone, Copy, Debug)]
pub struct AdaptiveRate {
    pub configured: f64,
    pub learned: Option<Learned>,
}

impl AdaptiveRate {
    pub fn at(self, now: i64) -> f64 {
        self.learned.map_or(self.configured, |learned| learned.grown(self.configured, now))
    }

    /// The provider refused for the rate what was sent at that time, where that is known. What was learned by it, if
    /// that is news: requests that were under way at the time of the last cut, or sent before it, say nothing more.
    pub fn cut(&mut self, now: i64, sent_at: Option<i64>) -> Option<Learned> {
        let is_old = |learned: Learned| {
            now - learned.at < SECOND || sent_at.is_some_and(|sent_at| sent_at <= learned.at)
        };
        if self.learned.is_some_and(is_old) {
            return None;
        }
        let rate = (self.at(now) * CUT).max(self.configured * LEAST);
        self.learned = Some(Learned { rate, at: now });
        self.learned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_halves_the_rate_at_once_and_it_grows_back_slowly() {
        let start = 1_000_000 * SECOND;
        let mut rate = AdaptiveRate { configured: 80.0, learned: None };
        assert_eq!(rate.cut(start, None).map(|learned| learned.rate), Some(40.0));
        assert_eq!(rate.cut(start + SECOND / 2, None), None, "the same flight of requests");
        let again = rate.cut(start + 30 * SECOND, None).map(|learned| learned.rate);
        assert_eq!(again, Some(22.0), "40/s had grown to 44/s");
        assert!((rate.at(start + 330 * SECOND) - 62.0).abs() < 1e-9);
        assert_eq!(rate.at(start + 3_600 * SECOND).to_bits(), 80.0_f64.to_bits());
        for second in 0..100 {
            let _ = rate.cut(start + (4_000 + 2 * second) * SECOND, None);
        }
        assert!(rate.at(start + 4_198 * SECOND) >= 0.8, "never below a hundredth");
    }
}
