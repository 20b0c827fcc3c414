//! Whether what the provider has is the message whose answer was lost: adopted only when exactly one
//! message there and one request of ours fit each other. A wrong yes would leave a customer untold and
//! nobody would know; a wrong no is seen by a person.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use strum::{EnumDiscriminants, EnumString, IntoStaticStr, VariantArray};

use crate::domain::limit::backoff::doubled;
use crate::domain::message::receipt::ReceiptStatus;
use crate::domain::message::state::{Event, Failure};

/// How far the clocks of the provider and of ours may be apart.
const SKEW: Duration = Duration::from_secs(5);

/// The pause after the first look for evidence; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// When evidence about a request begun at `started_at` is looked for the next time, after `count` looks;
/// the last time when the policy decides.
pub fn next_look(now: Timestamp, count: u32, decide_at: Timestamp) -> Timestamp {
    let pause = doubled(FIRST_PAUSE, count, LONGEST_PAUSE);
    let next = now + pause;
    if now < decide_at { next.min(decide_at) } else { next }
}

/// From when on, by the provider's clock in whole seconds, a message may be that of a request.
pub fn earliest(started_at: Timestamp) -> Timestamp {
    started_at - SKEW
}

/// A message to the phone that the provider has and no attempt of ours knows.
#[derive(Clone, PartialEq)]
pub struct SeenMessage {
    pub id: String,
    /// Where the provider tells it.
    pub text: Option<String>,
}

impl std::fmt::Debug for SeenMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seen({})", self.id)
    }
}

/// Where evidence is looked for. The words are those of `rowbell.reconcile_lookup_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray, Serialize)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum LookupMethod {
    /// Receipts that named an id which no attempt knows.
    Receipts,
    /// The provider's list of messages.
    List,
    /// Nothing was found: the policy of the watch.
    Policy,
    /// A person said what became of it.
    Person,
}

/// What a person says of an unconfirmed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Settlement {
    /// It reached the recipient.
    Arrived,
    /// It did not, and is not sent again.
    GiveUp,
    /// It did not, or nobody knows: it is sent again.
    SendAgain,
}

impl Settlement {
    /// What that does to the message.
    pub fn event(self) -> Event {
        match self {
            Settlement::Arrived => Event::Receipt(ReceiptStatus::Delivered),
            Settlement::GiveUp => Event::Fail(Failure::Exhausted),
            Settlement::SendAgain => Event::TryAgain,
        }
    }
}

/// What came of comparing.
#[derive(Clone, Debug, PartialEq, Eq, EnumDiscriminants)]
#[strum_discriminants(
    name(FoundKind),
    derive(IntoStaticStr),
    strum(serialize_all = "snake_case", const_into_str)
)]
pub enum LookupResult {
    Nothing,
    One(String),
    /// More than one fits, or more than one request of ours.
    Several,
    /// There is a message, but it says something else.
    AnotherText,
}

/// Which of the messages `seen` is the one that says `own`. `rivals` are the parameters of other
/// requests to the same phone that may have led to one of them.
pub fn pick(seen: &[SeenMessage], own: &[String], rivals: &[Vec<String>]) -> LookupResult {
    let selection: Vec<&SeenMessage> =
        seen.iter().filter(|one| tells(one, own) == Some(true)).collect();
    match selection.as_slice() {
        [one] if rivals.iter().any(|rival| tells(one, rival) == Some(true)) => {
            LookupResult::Several
        }
        [one] => LookupResult::One(one.id.clone()),
        [] => match seen {
            [] => LookupResult::Nothing,
            [one] if tells(one, own).is_none() && rivals.is_empty() => {
                LookupResult::One(one.id.clone())
            }
            all if all.iter().any(|one| tells(one, own).is_none()) => LookupResult::Several,
            _ => LookupResult::AnotherText,
        },
        _ => LookupResult::Several,
    }
}

/// Whether a message says all of this; None where it has no words to compare.
fn tells(seen: &SeenMessage, parameters: &[String]) -> Option<bool> {
    // What stands for a template in the provider's list is not documented: a name is no text.
    let text = seen.text.as_deref().filter(|text| text.trim().contains(' '))?;
    Some(parameters.iter().all(|parameter| text.contains(parameter.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: &str, text: Option<&str>) -> SeenMessage {
        SeenMessage { id: id.to_owned(), text: text.map(str::to_owned) }
    }

    fn says(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn one_message_and_one_request_fit_each_other() {
        let own = says(&["Maria", "moved to June 25"]);
        let ours = "Hello, Maria! Your delivery moved to June 25.";
        let other = "Hello, Maria! Your delivery moved to June 27.";
        let one = |id: &str| LookupResult::One(id.to_owned());
        assert_eq!(pick(&[], &own, &[]), LookupResult::Nothing);
        assert_eq!(pick(&[seen("a", Some(ours))], &own, &[]), one("a"));
        assert_eq!(pick(&[seen("a", None)], &own, &[]), one("a"), "no text to compare");
        assert_eq!(pick(&[seen("a", Some("service_change"))], &own, &[]), one("a"), "a name");
        assert_eq!(pick(&[seen("a", Some(other))], &own, &[]), LookupResult::AnotherText);
        assert_eq!(pick(&[seen("a", Some(other)), seen("b", Some(ours))], &own, &[]), one("b"));
        assert_eq!(
            pick(&[seen("a", Some(ours)), seen("b", Some(ours))], &own, &[]),
            LookupResult::Several
        );
        assert_eq!(pick(&[seen("a", None), seen("b", None)], &own, &[]), LookupResult::Several);
    }

    #[test]
    fn another_request_to_the_same_phone_makes_it_doubtful_unless_the_text_decides() {
        let own = says(&["Maria", "moved to June 25"]);
        let rival = says(&["Maria", "moved to June 27"]);
        let ours = seen("a", Some("Hello, Maria! Your delivery moved to June 25."));
        let rivals = [rival];
        assert_eq!(pick(&[seen("a", None)], &own, &rivals), LookupResult::Several);
        assert_eq!(
            pick(std::slice::from_ref(&ours), &own, &rivals),
            LookupResult::One("a".to_owned())
        );
        assert_eq!(
            pick(&[ours], &own, std::slice::from_ref(&own)),
            LookupResult::Several,
            "the same words twice"
        );
    }

    #[test]
    fn it_is_looked_for_soon_then_rarely_and_last_when_the_policy_decides() {
        let start = Timestamp::UNIX_EPOCH + Duration::from_secs(1_000);
        let decide_at = start + Duration::from_secs(900);
        let mut now = start;
        let mut looks = Vec::new();
        for count in 0.. {
            now = next_look(now, count, decide_at);
            looks.push(now.duration_since(start).as_secs());
            if now >= decide_at {
                break;
            }
        }
        assert_eq!(looks, [5, 15, 35, 75, 155, 315, 615, 900]);
    }
}
