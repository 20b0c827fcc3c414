//! One try to send: what goes out, and what is known afterwards.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use strum::{EnumDiscriminants, EnumString, IntoStaticStr, VariantArray};

use crate::domain::message::message::Message;

/// A message in its words, ready for any wire. Never printed: it says who is told what.
#[derive(Clone, Default, PartialEq)]
pub struct TemplateMessage {
    /// International digits without plus sign; empty where the recipient has no phone.
    pub phone: String,
    /// Empty where the recipient has none.
    pub email: String,
    pub name: String,
    /// Locale of the recipient.
    pub locale: String,
    pub template: String,
    pub namespace: String,
    /// Language code of the template at the provider.
    pub language: String,
    /// Body variables in order.
    pub parameters: Vec<String>,
    /// What changed, in words.
    pub summary: String,
    /// The template's text with its variables, where it is configured.
    pub rendered_text: Option<String>,
    /// For how many seconds WhatsApp keeps it for a phone that is off; None: as long as it does by itself.
    pub time_to_live: Option<u32>,
}

impl TemplateMessage {
    /// What a channel sends that knows no templates: the template's text, or else the summary.
    pub fn text(&self) -> &str {
        self.rendered_text.as_deref().unwrap_or(&self.summary)
    }
}

impl fmt::Debug for TemplateMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TemplateMessage({} in {})", self.template, self.language)
    }
}

/// A leased message in its words, on its way to the provider.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub message_id: i64,
    pub watch: String,
    pub channel: String,
    pub attempt: i16,
    pub lease_expires_at: Timestamp,
    /// How long it may go without `delivered` before it goes on to the next channel.
    pub undelivered_after: Option<Duration>,
    pub message: TemplateMessage,
}

impl Outgoing {
    /// None: it has no words, or no row.
    pub fn new(message: Message, attempt: i16, lease_expires_at: Timestamp) -> Option<Outgoing> {
        let (message_id, words) = (message.message_id?, *message.words?);
        Some(Outgoing {
            message_id,
            watch: message.watch,
            channel: message.channel,
            attempt,
            lease_expires_at,
            undelivered_after: words.undelivered_after,
            message: TemplateMessage {
                phone: words.recipient.phone().unwrap_or_default().to_owned(),
                email: words.recipient.email().unwrap_or_default().to_owned(),
                name: words.recipient.name,
                locale: words.recipient.locale,
                template: words.template,
                namespace: words.namespace,
                language: words.wording.language,
                parameters: words.wording.parameters,
                summary: words.wording.summary,
                rendered_text: words.wording.rendered_text,
                time_to_live: words.time_to_live,
            },
        })
    }
}

/// A message that went out, or did not, and the answer to it.
pub struct Settled {
    pub outgoing: Outgoing,
    pub answer: Answer,
}

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
    /// It never reached the provider.
    NotSent,
    /// The provider may have it.
    Unknown,
    /// It was recorded instead of posted.
    DryRun,
}

impl AttemptResult {
    /// The word in SQL and metrics.
    pub fn into_str(&self) -> &'static str {
        AttemptResultKind::from(self).into_str()
    }
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

    /// It certainly did not leave.
    pub fn nothing_sent(why: String) -> Answer {
        Answer::failed(AttemptResult::NotSent, None, why)
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
