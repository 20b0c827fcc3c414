//! What the gates decide about a message.

use jiff::Timestamp;

use crate::domain::message::message::{Message, MessageWords};
use crate::domain::message::state::{Failure, Skip, State, Wait};

/// What becomes of a message that may leave now.
#[derive(Clone, Debug)]
pub enum Decision {
    Send(Box<MessageWords>),
    Skip(Skip, Option<String>),
    Fail(Failure, String),
    Defer(Box<Deferral>),
    /// Nothing keeps it but that there is no room for more now.
    InTurn,
}

/// Until when a message is put off, and why.
#[derive(Clone, Debug)]
pub struct Deferral {
    pub due_at: Timestamp,
    pub wait: Wait,
    /// The same as a sentence.
    pub why: String,
}

impl Decision {
    /// The state that the message goes to.
    fn state(&self) -> State {
        match self {
            Decision::Send(_) => State::Sending,
            Decision::Skip(why, _) => State::Skipped(*why),
            Decision::Fail(why, _) => State::Failed(*why),
            Decision::Defer(_) | Decision::InTurn => State::Scheduled,
        }
    }

    /// Puts a message off.
    pub fn defer(due_at: Timestamp, wait: impl Into<Wait>, why: impl Into<String>) -> Decision {
        Decision::Defer(Box::new(Deferral { due_at, wait: wait.into(), why: why.into() }))
    }

    /// Puts what was decided on the message.
    pub fn apply_to(self, message: &mut Message) {
        message.state = self.state();
        (message.reason_text, message.wait, message.words) = (None, None, None);
        if !matches!(self, Decision::Send(_) | Decision::Skip(Skip::Silenced, _)) {
            message.told_row = None;
        }
        match self {
            Decision::Send(words) => {
                message.operation = words.operation;
                message.words = Some(words);
            }
            Decision::Skip(_, reason_text) => message.reason_text = reason_text,
            Decision::Fail(_, text) => message.reason_text = Some(text),
            Decision::InTurn => {}
            Decision::Defer(deferral) => {
                message.reason_text = Some(deferral.why);
                message.wait = Some(deferral.wait);
                message.due_at = deferral.due_at;
            }
        }
    }
}
