//! The life of a message: its states, the reasons it ends for, and the one function that holds
//! every transition.

use serde::ser::SerializeStruct as _;
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::message::receipt::ReceiptStatus;

/// Where a message stands. The words are those of `rowbell.message_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum State {
    /// Changes are still being folded into it.
    Waiting,
    /// Due later: rate limit, quiet hours, retry.
    Scheduled,
    /// Waits for a person.
    Held,
    /// Leased; an attempt row exists.
    Sending,
    /// The provider may have it.
    Unconfirmed,
    /// The provider accepted it.
    Sent,
    /// It reached the device.
    Delivered,
    /// It was opened.
    Read,
    /// It did not reach the customer.
    Failed(Failure),
    /// It was not meant to leave.
    Skipped(Skip),
}

/// Why a message failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Failure {
    Rejected,
    Undeliverable,
    Exhausted,
    Expired,
    Unwritable,
}

/// What keeps a message that still has to leave. The words are those of `rowbell.message_waits_for`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum WaitsFor {
    /// An earlier message of the entity is being sent.
    Order,
    /// It is night where the recipient lives.
    QuietHours,
    /// Errors have stopped its template.
    Circuit,
    PerRecipientLimit,
    UniqueRecipients,
    /// The provider may have an earlier message to the same phone.
    UnconfirmedAttempt,
    /// Its watch cannot be used, or its row could not be read in time.
    Watch,
    /// An attempt was in vain.
    Retry,
    /// It was refused in the burst of errors that stopped its channel or template.
    BurstRetry,
    /// A person decides about the hold that it joined.
    Hold,
}

impl WaitsFor {
    /// Whether a gate has put the message off. Such a wait is decided anew when the row changes; the wait after
    /// an attempt in vain goes on.
    pub fn is_gate(self) -> bool {
        !matches!(self, WaitsFor::Retry | WaitsFor::BurstRetry | WaitsFor::Hold)
    }
}

/// What a message waits for and, where that is the circuit of a template, its name and language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub cause: WaitsFor,
    pub template: Option<(String, String)>,
}

impl From<WaitsFor> for Wait {
    fn from(cause: WaitsFor) -> Wait {
        Wait { cause, template: None }
    }
}

/// Why a message was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Skip {
    NoNetChange,
    Silenced,
    OptedOut,
    NoRecipient,
    BadPhone,
    BadEmail,
    Muted,
    Superseded,
    Stale,
    Discarded,
    NotNeeded,
    DryRun,
    OutsideOnlyTo,
}

/// What can happen to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A later change was folded into it.
    Folded,
    /// It was put off: rate limit, quiet hours, order.
    Deferred,
    /// It must wait for a person.
    Hold,
    /// A person let it go.
    Approved,
    /// A gate or a person decided that it does not leave.
    Skip(Skip),
    /// It was put into words and leased; the attempt row is written.
    Leased,
    /// The provider accepted it.
    Accepted,
    /// It certainly did not leave and may be tried again.
    TryAgain,
    /// It will not leave any more.
    Fail(Failure),
    /// Whether it left is not known.
    Unknown,
    /// A receipt came.
    Receipt(ReceiptStatus),
    /// A receipt came that says failed, with an error that tells why.
    FailedReceipt(Failure),
    /// It is taken up again: by a person, or hours after WhatsApp chose not to deliver it.
    Reopened,
}

/// An event that cannot happen in that state: a defect, or evidence that came too late to matter.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a message that is {state:?} cannot take {event:?}")]
pub struct IllegalTransition {
    pub state: State,
    pub event: Event,
}

/// The state after `event`. Everything that moves a message asks here.
///
/// Receipts are ranked sent < failed < delivered < read; the furthest evidence wins whatever the
/// order of arrival, so a receipt that says less than is known changes nothing.
pub fn apply(state: State, event: Event) -> Result<State, IllegalTransition> {
    use Event as E;
    use State as S;
    let next = match (state, event) {
        (S::Waiting | S::Scheduled, E::Folded) => S::Waiting,
        (S::Held, E::Folded) => S::Held,
        (S::Waiting | S::Scheduled, E::Deferred) => S::Scheduled,
        (S::Waiting | S::Scheduled | S::Held, E::Hold) => S::Held,
        (S::Held, E::Approved) => S::Scheduled,
        (S::Waiting | S::Scheduled | S::Held | S::Sending, E::Skip(why)) => S::Skipped(why),
        (S::Waiting | S::Scheduled, E::Leased) => S::Sending,
        (S::Waiting | S::Scheduled | S::Held, E::Fail(why)) => S::Failed(why),

        (S::Sending | S::Unconfirmed, E::Accepted) => S::Sent,
        (S::Sending | S::Unconfirmed, E::TryAgain) => S::Scheduled,
        (S::Sending | S::Unconfirmed, E::Fail(why)) => S::Failed(why),
        (S::Sending | S::Unconfirmed, E::Unknown) => S::Unconfirmed,
        // The answer to the request came after its receipts: they know more.
        (S::Sent | S::Delivered | S::Read, E::Accepted) => state,
        (S::Unconfirmed | S::Sent | S::Failed(_), E::Reopened) => S::Scheduled,
        // What kept it back may be gone: the gates ask again.
        (S::Skipped(why), E::Reopened) if why.may_pass() => S::Scheduled,

        (
            S::Sending | S::Unconfirmed | S::Sent | S::Delivered | S::Read | S::Failed(_),
            E::Receipt(status),
        ) => furthest(state, status),
        (
            S::Sending | S::Unconfirmed | S::Sent | S::Delivered | S::Read | S::Failed(_),
            E::FailedReceipt(why),
        ) => further(state, S::Failed(why)),
        // It arrived after all, at an attempt that was given up, for another or for a newer message.
        (S::Scheduled | S::Skipped(Skip::Superseded), E::Receipt(ReceiptStatus::Delivered)) => {
            S::Delivered
        }
        (S::Scheduled | S::Skipped(Skip::Superseded), E::Receipt(ReceiptStatus::Read)) => S::Read,
        _ => return Err(IllegalTransition { state, event }),
    };
    Ok(next)
}

/// The furthest of what is known and what a receipt says.
fn furthest(state: State, status: ReceiptStatus) -> State {
    let said = match status {
        ReceiptStatus::Sent => State::Sent,
        ReceiptStatus::Failed => State::Failed(Failure::Undeliverable),
        ReceiptStatus::Delivered => State::Delivered,
        ReceiptStatus::Read => State::Read,
        ReceiptStatus::Other => return state,
    };
    further(state, said)
}

/// What is known, unless what is said goes further.
fn further(state: State, said: State) -> State {
    if evidence_rank(said) > evidence_rank(state) { said } else { state }
}

fn evidence_rank(state: State) -> u8 {
    match state {
        State::Sent => 1,
        State::Failed(_) => 2,
        State::Delivered => 3,
        State::Read => 4,
        _ => 0,
    }
}

/// The states without a reason.
const PLAIN: [State; 8] = [
    State::Waiting,
    State::Scheduled,
    State::Held,
    State::Sending,
    State::Unconfirmed,
    State::Sent,
    State::Delivered,
    State::Read,
];

impl State {
    /// The word of the reason, for failed and skipped messages.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            State::Failed(why) => Some(why.into_str()),
            State::Skipped(why) => Some(why.into_str()),
            _ => None,
        }
    }

    /// Whether it ended and nobody was told anything by it that they did not know.
    pub fn is_untold(self) -> bool {
        match self {
            State::Failed(_) => true,
            State::Skipped(why) => {
                !matches!(why, Skip::NoNetChange | Skip::Silenced | Skip::Muted | Skip::NotNeeded)
            }
            _ => false,
        }
    }

    /// Reads state and reason back from their words.
    pub fn parse(state: &str, reason: Option<&str>) -> Option<State> {
        match (state, reason) {
            ("failed", why) => why?.parse().ok().map(State::Failed),
            ("skipped", why) => why?.parse().ok().map(State::Skipped),
            _ => PLAIN.into_iter().find(|plain| plain.into_str() == state),
        }
    }
}

/// State and reason as two fields, as in SQL.
impl serde::Serialize for State {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("State", 2)?;
        fields.serialize_field("state", self.into_str())?;
        fields.serialize_field("reason", &self.reason())?;
        fields.end()
    }
}

impl Skip {
    /// Whether what kept a message back may not hold any more.
    pub fn may_pass(self) -> bool {
        match self {
            Skip::OptedOut
            | Skip::NoRecipient
            | Skip::BadPhone
            | Skip::BadEmail
            | Skip::Stale
            | Skip::Discarded
            | Skip::DryRun
            | Skip::OutsideOnlyTo => true,
            Skip::NoNetChange
            | Skip::Silenced
            | Skip::Muted
            | Skip::Superseded
            | Skip::NotNeeded => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn states() -> Vec<State> {
        let failed = Failure::VARIANTS.iter().copied().map(State::Failed);
        let skipped = Skip::VARIANTS.iter().copied().map(State::Skipped);
        PLAIN.into_iter().chain(failed).chain(skipped).collect()
    }

    fn events() -> Vec<Event> {
        use Event as E;
        use ReceiptStatus as R;
        let plain =
            [E::Folded, E::Deferred, E::Hold, E::Approved, E::Leased, E::Accepted, E::TryAgain];
        let others = [E::Unknown, E::Reopened, E::Skip(Skip::Stale), E::Fail(Failure::Exhausted)];
        let receipts = [R::Sent, R::Failed, R::Delivered, R::Read, R::Other].map(E::Receipt);
        let failed = [E::FailedReceipt(Failure::Rejected)];
        plain.into_iter().chain(others).chain(receipts).chain(failed).collect()
    }

    fn word(state: State) -> String {
        state
            .reason()
            .map_or(state.into_str().to_owned(), |why| format!("{}: {why}", state.into_str()))
    }

    /// Every state with every event: where it leads, for a person to read. What is absent cannot be.
    #[test]
    fn all_pairs_of_state_and_event() {
        let mut table = String::new();
        for state in states() {
            let _ = writeln!(table, "{}", word(state));
            for event in events() {
                let Ok(next) = apply(state, event) else { continue };
                let next = if next == state { "stays".to_owned() } else { word(next) };
                let _ = writeln!(table, "    {:<26} {next}", format!("{event:?}"));
            }
        }
        insta::assert_snapshot!("all_pairs", table);
    }

    #[test]
    fn no_receipt_takes_a_message_back() {
        let ranked = [State::Sent, State::Failed(Failure::Rejected), State::Delivered, State::Read];
        for (rank, state) in ranked.into_iter().enumerate() {
            for event in events().into_iter().filter(|event| {
                matches!(event, Event::Receipt(_) | Event::FailedReceipt(_) | Event::Accepted)
            }) {
                let Ok(next) = apply(state, event) else { continue };
                let place = ranked.iter().position(|one| one.into_str() == next.into_str());
                assert!(place >= Some(rank), "{state:?} after {event:?} is {next:?}");
            }
        }
    }

    #[test]
    fn words_are_read_back() {
        for state in states() {
            assert_eq!(State::parse(state.into_str(), state.reason()), Some(state));
        }
    }
}
