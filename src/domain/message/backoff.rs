//! When a failed attempt is tried again.

use std::time::Duration;

/// The wait after attempt number `attempt` (1 for the first): anything between nothing and a
/// ceiling that doubles with each attempt up to `cap`, so that many senders do not come back at
/// once. `random` is in 0..1. What the other side asks for (`Retry-After`) is the least.
pub fn backoff(
    attempt: u16,
    base: Duration,
    cap: Duration,
    random: f64,
    retry_after: Option<Duration>,
) -> Duration {
    let doublings = u32::from(attempt.saturating_sub(1)).min(31);
    let ceiling = base.saturating_mul(1 << doublings).min(cap);
    ceiling.mul_f64(random.clamp(0.0, 1.0)).max(retry_after.unwrap_or(Duration::ZERO))
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
    fn the_wait_is_spread_over_the_whole_range() {
        assert_eq!(backoff(3, BASE, CAP, 0.0, None), Duration::ZERO);
        assert_eq!(backoff(3, BASE, CAP, 0.5, None), Duration::from_secs(4));
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
