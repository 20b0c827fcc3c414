//! What all receipts about one message say together. The same evidence gives the same answer, in
//! whatever order it came and however often.

use jiff::Timestamp;

use crate::domain::message::receipt::ReceiptStatus;
use crate::domain::message::state::{Event, State, apply};

/// One receipt of a message, as it is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    pub status: ReceiptStatus,
    /// When it happened, by the provider; when it came, where the provider does not say.
    pub happened_at: Timestamp,
    pub error_code: Option<i32>,
    pub error_title: Option<String>,
    pub error_text: Option<String>,
    pub provider_message_id: String,
}

impl Evidence {
    /// The failure in words: code, title and text, as far as they are told.
    pub fn in_words(&self) -> Option<String> {
        let title = self.error_title.as_deref();
        let text = self.error_text.as_deref().filter(|text| Some(*text) != title);
        let code = self.error_code.map(|code| code.to_string());
        let parts: Vec<&str> = [code.as_deref(), title, text].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(": "))
    }

    /// Of two, the one that is told first; the same for both receipt sources.
    fn order(&self) -> (Timestamp, u8, Option<i32>, Option<&str>) {
        let rank = match self.status {
            ReceiptStatus::Other => 0,
            ReceiptStatus::Sent => 1,
            ReceiptStatus::Failed => 2,
            ReceiptStatus::Delivered => 3,
            ReceiptStatus::Read => 4,
        };
        (self.happened_at, rank, self.error_code, self.error_text.as_deref())
    }
}

/// Where evidence takes a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed {
    pub state: State,
    /// The failure that counts, for a message that failed: the first.
    pub failure: Option<Evidence>,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    /// Id of the attempt that the furthest evidence is about.
    pub provider_message_id: Option<String>,
}

/// Weighs everything that is known of a message that stands in `state`. `event_of` says what one
/// receipt means.
pub fn weigh(
    state: State,
    mut evidence: Vec<Evidence>,
    event_of: impl Fn(&Evidence) -> Event,
) -> Weighed {
    evidence.sort_by(|a, b| a.order().cmp(&b.order()));
    let mut next = state;
    for one in &evidence {
        // What cannot happen in that state came too late to matter: it is stored all the same.
        next = apply(next, event_of(one)).unwrap_or(next);
    }
    let first = |is: &[ReceiptStatus]| evidence.iter().find(|one| is.contains(&one.status));
    let at = |is: &[ReceiptStatus]| first(is).map(|one| one.happened_at);
    let mut failure = None;
    if let (State::Failed(_), Some(one)) = (next, first(&[ReceiptStatus::Failed])) {
        if let Event::FailedReceipt(why) = event_of(one) {
            next = State::Failed(why);
        }
        failure = Some(one.clone());
    }
    let (delivered, read) = (ReceiptStatus::Delivered, ReceiptStatus::Read);
    let furthest = first(&[read]).or(first(&[delivered])).or(failure.as_ref()).or(evidence.first());
    Weighed {
        state: next,
        sent_at: evidence.first().map(|one| one.happened_at),
        delivered_at: at(&[delivered, read]).filter(|_| arrived(next)),
        read_at: at(&[read]).filter(|_| next == State::Read),
        provider_message_id: furthest.map(|one| one.provider_message_id.clone()),
        failure,
    }
}

fn arrived(state: State) -> bool {
    matches!(state, State::Delivered | State::Read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::attempt::ErrorClass;
    use crate::domain::message::disposition::{RetryRules, failed_receipt};
    use proptest::prelude::*;
    use std::time::Duration;

    fn evidence() -> impl Strategy<Value = Evidence> {
        let status = prop_oneof![
            Just(ReceiptStatus::Sent),
            Just(ReceiptStatus::Failed),
            Just(ReceiptStatus::Delivered),
            Just(ReceiptStatus::Read),
            Just(ReceiptStatus::Other),
        ];
        (status, 0_u64..4, 0_i32..5, "[ab]?").prop_map(|(status, second, code, text)| Evidence {
            status,
            happened_at: Timestamp::UNIX_EPOCH + Duration::from_secs(second),
            error_code: Some(code).filter(|_| status == ReceiptStatus::Failed),
            error_title: None,
            error_text: Some(text).filter(|_| status == ReceiptStatus::Failed),
            provider_message_id: "a".to_owned(),
        })
    }

    /// One class for each code, and one without.
    fn event_of(evidence: &Evidence) -> Event {
        let rules = RetryRules {
            max_attempts: 5,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(1),
        };
        if evidence.status != ReceiptStatus::Failed {
            return Event::Receipt(evidence.status);
        }
        let class = match evidence.error_code {
            Some(0) => Some(ErrorClass::Later),
            Some(1) => Some(ErrorClass::Recipient),
            Some(2) => Some(ErrorClass::Content),
            Some(3) => Some(ErrorClass::Template),
            _ => None,
        };
        failed_receipt(class.zip(evidence.error_code), 1, rules, 0.0).0
    }

    /// What is left of a message after deliveries of evidence: state, failure, earliest times.
    fn told(deliveries: &[Vec<Evidence>]) -> impl PartialEq + std::fmt::Debug + use<> {
        let (mut state, mut all) = (State::Sent, Vec::new());
        let (mut failure, mut delivered, mut read) = (None, None, None);
        let least = |a: Option<Timestamp>, b: Option<Timestamp>| a.into_iter().chain(b).min();
        for delivery in deliveries {
            all.extend(delivery.iter().cloned());
            let weighed = weigh(state, all.clone(), event_of);
            state = weighed.state;
            failure = weighed.failure.and_then(|one| one.in_words());
            delivered = least(delivered, weighed.delivered_at);
            read = least(read, weighed.read_at);
        }
        (state, failure, delivered, read)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn any_order_and_repetition_of_the_same_evidence_says_the_same(
            (all, shuffled) in prop::collection::vec(evidence(), 1..7).prop_flat_map(|all| {
                let doubled: Vec<Evidence> = all.iter().chain(&all).cloned().collect();
                (Just(all), Just(doubled).prop_shuffle())
            }),
            together in 1_usize..5,
        ) {
            let one_by_one: Vec<Vec<Evidence>> = all.iter().cloned().map(|one| vec![one]).collect();
            let pieces: Vec<Vec<Evidence>> = shuffled.chunks(together).map(<[_]>::to_vec).collect();
            prop_assert_eq!(told(&one_by_one), told(&pieces));
            prop_assert_eq!(told(&one_by_one), told(&[all]));
        }
    }
}
