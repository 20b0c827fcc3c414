//! One try to send, and what is known of it afterwards.

use std::time::Duration;

use serde::Serialize;
use strum::{EnumDiscriminants, EnumString, IntoStaticStr, VariantArray};

/// Which try of which message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptId {
    pub message_id: i64,
    pub number: i16,
}

impl AttemptId {
    /// What it is called towards gateways and mail servers: never the same for two attempts, nor for
    /// two environments.
    pub fn name(self, environment: &str) -> String {
        format!("{environment}-{}-{}", self.message_id, self.number)
    }
}

/// How many attempts of a message up to this one reached the provider, or may have; at least 1. What was given back before
/// the request, or reached nobody, uses up no attempt: `unsent` counts those, by message.
pub fn counted_attempts(number: i16, message_id: i64, unsent: &[(i64, i64)]) -> u16 {
    let unsent = unsent.iter().find(|(id, _)| *id == message_id).map_or(0, |(_, count)| *count);
    u16::try_from(i64::from(number) - unsent).unwrap_or(0).max(1)
}

/// What is known of a try. The words are those of `rowbell.attempt_result`.
#[derive(Clone, Debug, PartialEq, EnumDiscriminants)]
#[strum_discriminants(
    name(AttemptResultKind),
    derive(Hash, EnumString, IntoStaticStr, VariantArray, Serialize),
    strum(serialize_all = "snake_case", const_into_str),
    serde(rename_all = "snake_case")
)]
pub enum AttemptResult {
    /// The provider took it and gave an id.
    Accepted { provider_message_id: String },
    /// The provider answered that it did not take it.
    Refused { class: ErrorClass, retry_after: Option<Duration> },
    /// It was given back before the request.
    NotSent,
    /// The provider could not be reached, so it does not have it: no connection, no TLS, or somebody on the way says so.
    Unreached,
    /// The provider may have it.
    Unknown,
    /// It was recorded instead of posted.
    DryRun,
}

impl AttemptResult {
    /// What the HTTP status alone says.
    pub fn of_status(meaning: StatusMeaning, retry_after: Option<Duration>) -> AttemptResult {
        match meaning {
            StatusMeaning::Refused(class) => AttemptResult::Refused { class, retry_after },
            StatusMeaning::Unreached => AttemptResult::Unreached,
            StatusMeaning::Unknown => AttemptResult::Unknown,
        }
    }

    /// The word in SQL and metrics.
    pub fn into_str(&self) -> &'static str {
        AttemptResultKind::from(self).into_str()
    }
}

/// What an answer without a known code says about its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusMeaning {
    /// The provider has not taken it.
    Refused(ErrorClass),
    /// Somebody on the way says that he could not reach the provider.
    Unreached,
    /// The provider may have it.
    Unknown,
}

/// The answer to one request, with what is kept of it on the attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub result: AttemptResult,
    pub http_status: Option<u16>,
    /// Error code of WhatsApp, where the answer carried one.
    pub error_code: Option<i32>,
    /// Bounded, secrets redacted.
    pub error_text: Option<String>,
    /// The answer as it came when it was not a plain acceptance; bounded, secrets redacted.
    pub response: Option<String>,
}

impl Answer {
    /// The id that the provider gave; None: it did not accept the message.
    pub fn provider_message_id(&self) -> Option<&str> {
        match &self.result {
            AttemptResult::Accepted { provider_message_id } => Some(provider_message_id),
            _ => None,
        }
    }

    /// It was given back before the request.
    pub fn nothing_sent(why: String) -> Answer {
        Answer::failed(AttemptResult::NotSent, None, why)
    }

    /// The provider could not be reached.
    pub fn unreached(why: String) -> Answer {
        Answer::failed(AttemptResult::Unreached, None, why)
    }

    /// It was ready to be posted, and a dry run posts nothing.
    pub fn dry_run() -> Answer {
        let why = "recorded instead of posted".to_owned();
        Answer::failed(AttemptResult::DryRun, None, why)
    }

    /// The provider may have it.
    pub fn unknown(http_status: Option<u16>, why: String) -> Answer {
        Answer::failed(AttemptResult::Unknown, http_status, why)
    }

    /// It was refused, or could not even be asked for.
    pub fn refused(class: ErrorClass, why: String) -> Answer {
        Answer::failed(AttemptResult::Refused { class, retry_after: None }, None, why)
    }

    fn failed(result: AttemptResult, http_status: Option<u16>, why: String) -> Answer {
        Answer { result, http_status, error_code: None, error_text: Some(why), response: None }
    }

    pub fn accepted(provider_message_id: String, http_status: Option<u16>) -> Answer {
        Answer {
            result: AttemptResult::Accepted { provider_message_id },
            http_status,
            error_code: None,
            error_text: None,
            response: None,
        }
    }
}

/// What a sender does about an error. The words are those of `rowbell.attempt_error_class`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray, Serialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
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
