//! Waits that double with each failure in a row.

use std::time::Duration;

/// A wait that has doubled so many times, up to the longest.
pub fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(31)).min(longest)
}

/// Waits between failures in a row, each twice as long as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, failures: 0 }
    }

    /// Counts a failure; returns how long to wait after it.
    pub fn fail(&mut self) -> Duration {
        let wait = self.next();
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// How long to wait after the next failure.
    pub fn next(&self) -> Duration {
        doubled(self.first, self.failures, self.longest)
    }

    /// How long to wait after the last failure; None: the last try was a success.
    pub fn last(&self) -> Option<Duration> {
        Some(doubled(self.first, self.failures.checked_sub(1)?, self.longest))
    }

    /// Whether there was a failure since the last success.
    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }

    pub fn succeed(&mut self) {
        self.failures = 0;
    }
}

/// Half of a wait to all of it, so that many daemons do not come back in step. `random` is in 0..1.
pub fn spread(wait: Duration, random: f64) -> Duration {
    wait.mul_f64(0.5 + random / 2.0)
}

/// The wait after attempt number `attempt` (1 for the first), spread under a ceiling that doubles with each attempt up
/// to `cap`. What the other side asks for (`Retry-After`) is the least.
pub fn backoff(
    attempt: u16,
    base: Duration,
    cap: Duration,
    random: f64,
    retry_after: Option<Duration>,
) -> Duration {
    let ceiling = doubled(base, u32::from(attempt.saturating_sub(1)), cap);
    spread(ceiling, random).max(retry_after.unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_secs(2);
    const CAP: Duration = Duration::from_secs(60);

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let ceilings: Vec<u64> =
            [1, 2, 3, 4, 5, 6, 7, 60].map(|n| backoff(n, BASE, CAP, 1.0, None).as_secs()).into();
        assert_eq!(ceilings, [2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn the_wait_is_at_least_half_of_the_ceiling() {
        assert_eq!(backoff(3, BASE, CAP, 0.0, None), Duration::from_secs(4));
        assert_eq!(backoff(3, BASE, CAP, 0.5, None), Duration::from_secs(6));
    }

    #[test]
    fn retry_after_is_the_least() {
        let asked = Some(Duration::from_secs(90));
        assert_eq!(backoff(1, BASE, CAP, 0.1, asked), Duration::from_secs(90));
        assert_eq!(
            backoff(5, BASE, CAP, 1.0, Some(Duration::from_secs(1))),
            Duration::from_secs(32)
        );
    }
}
