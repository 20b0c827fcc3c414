//! What an answer, or a receipt that says failed, means for its message: the decision, told apart
//! from the fact. An error means the same whichever of them tells of it: what fails late is deferred and
//! learned from like what is refused at once.

use std::time::Duration;

use crate::domain::limit::backoff;
use crate::domain::message::attempt::{Answer, AttemptResult, ErrorClass};
use crate::domain::message::state::{Event, Failure, Skip};

/// How often and how far apart attempts are made.
#[derive(Clone, Copy, Debug)]
pub struct RetryRules {
    /// Attempts in all, at least 1.
    pub max_attempts: u16,
    pub base: Duration,
    pub cap: Duration,
}

/// How long to wait after WhatsApp chose not to deliver for now (class later): not before a day, and
/// each time longer.
const LATER: Duration = Duration::from_secs(24 * 3_600);

/// Attempts after which a recipient whom WhatsApp keeps from us for now counts as unreachable.
const LATER_ATTEMPTS: u16 = 3;

/// How long a message waits whose template or channel was refused; the circuit decides when they
/// are tried again, with another message if there is one.
const BEHIND_OTHERS: Duration = Duration::from_secs(60);

/// WhatsApp's limit of messages to one recipient: 1 s, 4 s, 16 s … are asked for.
pub const PAIR_LIMIT: i32 = 131_056;

/// The event for the message, and the wait before its next attempt if there is one.
///
/// `attempt` counts the attempts that reached the provider, this one included, at least 1. `random` in 0..1 spreads
/// the waits.
pub fn disposition(
    answer: &Answer,
    attempt: u16,
    rules: RetryRules,
    random: f64,
) -> (Event, Duration) {
    let (class, retry_after) = match &answer.result {
        AttemptResult::Accepted { .. } => return (Event::Accepted, Duration::ZERO),
        AttemptResult::Unknown => return (Event::Unknown, Duration::ZERO),
        AttemptResult::DryRun => return (Event::Skip(Skip::DryRun), Duration::ZERO),
        AttemptResult::NotSent | AttemptResult::Unreached => {
            let wait = backoff::backoff(attempt, rules.base, rules.cap, random, None);
            return (Event::TryAgain, wait);
        }
        AttemptResult::Refused { class, retry_after } => (*class, *retry_after),
    };
    match next(class, answer.error_code, attempt, rules, (random, retry_after)) {
        Next::Again(wait) => (Event::TryAgain, wait),
        Next::End(why) => (Event::Fail(why), Duration::ZERO),
    }
}

/// The same for a receipt that says failed. Without a known error nobody can say more than that it did not arrive.
pub fn failed_receipt(
    error: Option<(ErrorClass, i32)>,
    attempt: u16,
    rules: RetryRules,
    random: f64,
) -> (Event, Duration) {
    let Some((class, code)) = error else {
        return (Event::FailedReceipt(Failure::Undeliverable), Duration::ZERO);
    };
    match next(class, Some(code), attempt, rules, (random, None)) {
        Next::Again(wait) => (Event::Reopened, wait),
        Next::End(why) => (Event::FailedReceipt(why), Duration::ZERO),
    }
}

/// What comes after an error.
enum Next {
    Again(Duration),
    End(Failure),
}

/// Refusals of a template or a channel never exhaust a message, and neither do limits: nothing about it is wrong, and
/// only its `expires_at` ends the wait.
fn next(
    class: ErrorClass,
    code: Option<i32>,
    attempt: u16,
    rules: RetryRules,
    (random, retry_after): (f64, Option<Duration>),
) -> Next {
    let backoff = backoff::backoff(attempt, rules.base, rules.cap, random, retry_after);
    match class {
        ErrorClass::Slow if code == Some(PAIR_LIMIT) => {
            Next::Again(backoff.max(pair_wait(attempt).min(rules.cap)))
        }
        ErrorClass::Slow => Next::Again(backoff),
        ErrorClass::Template | ErrorClass::Channel => {
            Next::Again(backoff.max(BEHIND_OTHERS.mul_f64(1.0 + random)))
        }
        ErrorClass::Recipient => Next::End(Failure::Undeliverable),
        ErrorClass::Content => Next::End(Failure::Rejected),
        ErrorClass::Later if attempt >= LATER_ATTEMPTS => Next::End(Failure::Undeliverable),
        ErrorClass::Retry | ErrorClass::Later if attempt >= rules.max_attempts => {
            Next::End(Failure::Exhausted)
        }
        ErrorClass::Retry => Next::Again(backoff),
        ErrorClass::Later => Next::Again(later(attempt, random)),
    }
}

fn later(attempt: u16, random: f64) -> Duration {
    (LATER * u32::from(attempt)).mul_f64(1.0 + random / 10.0)
}

fn pair_wait(attempt: u16) -> Duration {
    Duration::from_secs(4_u64.saturating_pow(u32::from(attempt.saturating_sub(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: RetryRules =
        RetryRules { max_attempts: 5, base: Duration::from_secs(2), cap: Duration::from_secs(600) };

    fn refused(class: ErrorClass, code: Option<i32>) -> Answer {
        Answer {
            result: AttemptResult::Refused { class, retry_after: None },
            http_status: Some(400),
            error_code: code,
            error_text: None,
            response: None,
        }
    }

    #[test]
    fn passing_faults_end_a_message_and_stopped_lanes_and_limits_do_not() {
        let ends = disposition(&refused(ErrorClass::Retry, Some(131_000)), 5, RULES, 0.5).0;
        assert_eq!(ends, Event::Fail(Failure::Exhausted));
        for code in [130_429, PAIR_LIMIT] {
            let waits = disposition(&refused(ErrorClass::Slow, Some(code)), 500, RULES, 0.5).0;
            assert_eq!(waits, Event::TryAgain, "limits defer, they never drop: {code}");
        }
        for class in [ErrorClass::Template, ErrorClass::Channel] {
            let (event, wait) = disposition(&refused(class, None), 500, RULES, 0.0);
            assert_eq!((event, wait >= BEHIND_OTHERS), (Event::TryAgain, true), "{class:?}");
        }
    }

    #[test]
    fn what_fails_late_waits_as_long_as_what_is_refused_at_once() {
        for (class, code) in [
            (ErrorClass::Slow, 130_429),
            (ErrorClass::Slow, PAIR_LIMIT),
            (ErrorClass::Retry, 131_000),
        ] {
            for attempt in [1, 2, 3, 5] {
                let (at_once, wait) = disposition(&refused(class, Some(code)), attempt, RULES, 0.5);
                let (late, late_wait) = failed_receipt(Some((class, code)), attempt, RULES, 0.5);
                assert_eq!(late == Event::Reopened, at_once == Event::TryAgain, "{code} {attempt}");
                assert_eq!(wait, late_wait, "{code} {attempt}");
            }
        }
    }

    #[test]
    fn what_never_reached_the_provider_does_not_exhaust_a_message() {
        let unreached = Answer::unreached("connection refused".to_owned());
        let (event, wait) = disposition(&unreached, 500, RULES, 1.0);
        assert_eq!((event, wait), (Event::TryAgain, RULES.cap));
    }

    #[test]
    fn the_pair_limit_is_waited_for_as_whatsapp_asks() {
        let pair = refused(ErrorClass::Slow, Some(PAIR_LIMIT));
        let waits: Vec<u64> =
            [1, 2, 3, 4].map(|attempt| disposition(&pair, attempt, RULES, 0.0).1.as_secs()).into();
        assert_eq!(waits, [1, 4, 16, 64]);
    }

    #[test]
    fn what_whatsapp_does_not_deliver_for_now_waits_a_day_and_then_longer() {
        let later = refused(ErrorClass::Later, Some(131_049));
        let hours = |attempt| disposition(&later, attempt, RULES, 0.0).1.as_secs() / 3_600;
        assert_eq!((hours(1), hours(2)), (24, 48));
        assert_eq!(disposition(&later, 3, RULES, 0.0).0, Event::Fail(Failure::Undeliverable));
        let error = Some((ErrorClass::Later, 131_049));
        let receipt = |attempt| failed_receipt(error, attempt, RULES, 0.0).0;
        assert_eq!(receipt(2), Event::Reopened);
        assert_eq!(receipt(3), Event::FailedReceipt(Failure::Undeliverable));
    }
}
