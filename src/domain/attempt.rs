//! One try to send: what goes out, and what is known afterwards.

use std::time::Duration;

/// A template message, ready for the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateMessage {
    /// International digits without plus sign.
    pub phone: String,
    pub template: String,
    pub namespace: String,
    pub language: String,
    /// Body variables in order.
    pub parameters: Vec<String>,
}

/// What is known of a try. The words are those of `rowbell.attempt_result`.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptResult {
    /// The provider took it and gave an id.
    Accepted { provider_message_id: String },
    /// The provider answered that it did not take it.
    Refused { class: ErrorClass, retry_after: Option<Duration> },
    /// It never reached the provider.
    NotSent,
    /// The provider may have it.
    Unknown,
}

impl AttemptResult {
    pub fn as_str(&self) -> &'static str {
        match self {
            AttemptResult::Accepted { .. } => "accepted",
            AttemptResult::Refused { .. } => "refused",
            AttemptResult::NotSent => "not_sent",
            AttemptResult::Unknown => "unknown",
        }
    }
}

/// The answer to one request, with what is kept of it on the attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub result: AttemptResult,
    pub http_status: Option<u16>,
    /// Error code of WhatsApp, where the answer carried one.
    pub error_code: Option<i32>,
    /// Bounded, secrets blanked.
    pub error_text: Option<String>,
    /// The answer as it came when it was not a plain acceptance; bounded, secrets blanked.
    pub response: Option<String>,
}

/// What a sender does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Try again, later and later.
    Retry,
    /// Shrink the rate, then try again.
    Slow,
    /// Give up on this recipient for this message.
    Recipient,
    /// This message is wrong: fail it, tell the operator.
    Content,
    /// Stop this template.
    Template,
    /// Stop this channel.
    Channel,
    /// Try again after hours.
    Later,
}

impl ErrorClass {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorClass::Retry => "retry",
            ErrorClass::Slow => "slow",
            ErrorClass::Recipient => "recipient",
            ErrorClass::Content => "content",
            ErrorClass::Template => "template",
            ErrorClass::Channel => "channel",
            ErrorClass::Later => "later",
        }
    }
}
