//! What an answer means for its message: the decision, told apart from the fact.

use std::time::Duration;

use super::attempt::{Answer, AttemptResult, ErrorClass};
use super::message::{Event, Failure};
use super::retry;

/// How often and how far apart attempts are made.
#[derive(Clone, Copy, Debug)]
pub struct RetryRules {
    /// Attempts in all, at least 1.
    pub max_attempts: u16,
    pub base: Duration,
    pub cap: Duration,
}

/// How long to wait after WhatsApp chose not to deliver for now (class later).
const LATER: Duration = Duration::from_secs(4 * 3_600);

/// The event for the message, and the wait before its next attempt if there is one.
///
/// `random` in 0..1 spreads the waits.
pub fn verdict(answer: &Answer, attempt: u16, rules: RetryRules, random: f64) -> (Event, Duration) {
    let class = match &answer.result {
        AttemptResult::Accepted { .. } => return (Event::Accepted, Duration::ZERO),
        AttemptResult::Unknown => return (Event::Unknown, Duration::ZERO),
        AttemptResult::NotSent => ErrorClass::Retry,
        AttemptResult::Refused { class, .. } => *class,
    };
    let retry_after = match &answer.result {
        AttemptResult::Refused { retry_after, .. } => *retry_after,
        _ => None,
    };
    let backoff = retry::backoff(attempt, rules.base, rules.cap, random, retry_after);
    let wait = match class {
        ErrorClass::Retry | ErrorClass::Slow => backoff,
        // Nothing about this message is wrong: it waits until template or channel works again.
        ErrorClass::Template | ErrorClass::Channel => {
            backoff.max(rules.cap.mul_f64(0.5 + random / 2.0))
        }
        ErrorClass::Later => LATER * u32::from(attempt),
        ErrorClass::Recipient => return (Event::Fail(Failure::Undeliverable), Duration::ZERO),
        ErrorClass::Content => return (Event::Fail(Failure::Rejected), Duration::ZERO),
    };
    if attempt >= rules.max_attempts {
        return (Event::Fail(Failure::Exhausted), Duration::ZERO);
    }
    (Event::TryAgain, wait)
}

/// Whether an answer stops everything that this channel would send, for a while.
pub fn stops_the_channel(answer: &Answer) -> bool {
    matches!(
        answer.result,
        AttemptResult::Refused {
            class: ErrorClass::Channel,
            ..
        }
    )
}
