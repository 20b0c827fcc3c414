//! The life of a message: its states, the reasons it ends for, and the one function that holds
//! every transition.

use crate::domain::message::receipt::ReceiptStatus;

/// Where a message stands. The words are those of `rowbell.message_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    Rejected,
    Undeliverable,
    Exhausted,
    Expired,
    Unwritable,
}

/// Why a message was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    NoNetChange,
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

impl State {
    /// The word in SQL, logs and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Scheduled => "scheduled",
            State::Held => "held",
            State::Sending => "sending",
            State::Unconfirmed => "unconfirmed",
            State::Sent => "sent",
            State::Delivered => "delivered",
            State::Read => "read",
            State::Failed(_) => "failed",
            State::Skipped(_) => "skipped",
        }
    }

    /// The word of the reason, for failed and skipped messages.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            State::Failed(why) => Some(why.as_str()),
            State::Skipped(why) => Some(why.as_str()),
            _ => None,
        }
    }

    /// Reads state and reason back from their words.
    pub fn parse(state: &str, reason: Option<&str>) -> Option<State> {
        let parsed = match state {
            "waiting" => State::Waiting,
            "scheduled" => State::Scheduled,
            "held" => State::Held,
            "sending" => State::Sending,
            "unconfirmed" => State::Unconfirmed,
            "sent" => State::Sent,
            "delivered" => State::Delivered,
            "read" => State::Read,
            "failed" => State::Failed(Failure::parse(reason?)?),
            "skipped" => State::Skipped(Skip::parse(reason?)?),
            _ => return None,
        };
        Some(parsed)
    }
}

impl Failure {
    pub const ALL: [Failure; 5] = [
        Failure::Rejected,
        Failure::Undeliverable,
        Failure::Exhausted,
        Failure::Expired,
        Failure::Unwritable,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Failure::Rejected => "rejected",
            Failure::Undeliverable => "undeliverable",
            Failure::Exhausted => "exhausted",
            Failure::Expired => "expired",
            Failure::Unwritable => "unwritable",
        }
    }

    fn parse(word: &str) -> Option<Failure> {
        Failure::ALL.into_iter().find(|failure| failure.as_str() == word)
    }
}

impl Skip {
    pub const ALL: [Skip; 11] = [
        Skip::NoNetChange,
        Skip::OptedOut,
        Skip::NoRecipient,
        Skip::BadPhone,
        Skip::BadEmail,
        Skip::Muted,
        Skip::Superseded,
        Skip::Stale,
        Skip::Discarded,
        Skip::NotNeeded,
        Skip::DryRun,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Skip::NoNetChange => "no_net_change",
            Skip::OptedOut => "opted_out",
            Skip::NoRecipient => "no_recipient",
            Skip::BadPhone => "bad_phone",
            Skip::BadEmail => "bad_email",
            Skip::Muted => "muted",
            Skip::Superseded => "superseded",
            Skip::Stale => "stale",
            Skip::Discarded => "discarded",
            Skip::NotNeeded => "not_needed",
            Skip::DryRun => "dry_run",
        }
    }

    /// Whether what kept a message back may not hold any more.
    pub fn may_pass(self) -> bool {
        match self {
            Skip::OptedOut
            | Skip::NoRecipient
            | Skip::BadPhone
            | Skip::BadEmail
            | Skip::Stale
            | Skip::Discarded
            | Skip::DryRun => true,
            Skip::NoNetChange | Skip::Muted | Skip::Superseded | Skip::NotNeeded => false,
        }
    }

    fn parse(word: &str) -> Option<Skip> {
        Skip::ALL.into_iter().find(|skip| skip.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn states() -> Vec<State> {
        use State as S;
        let plain = [
            S::Waiting,
            S::Scheduled,
            S::Held,
            S::Sending,
            S::Unconfirmed,
            S::Sent,
            S::Delivered,
            S::Read,
        ];
        let failed = Failure::ALL.into_iter().map(S::Failed);
        plain.into_iter().chain(failed).chain(Skip::ALL.into_iter().map(S::Skipped)).collect()
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
        state.reason().map_or(state.as_str().to_owned(), |why| format!("{}: {why}", state.as_str()))
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
                let place = ranked.iter().position(|one| one.as_str() == next.as_str());
                assert!(place >= Some(rank), "{state:?} after {event:?} is {next:?}");
            }
        }
    }

    #[test]
    fn words_are_read_back() {
        for state in states() {
            assert_eq!(State::parse(state.as_str(), state.reason()), Some(state));
        }
    }
}
