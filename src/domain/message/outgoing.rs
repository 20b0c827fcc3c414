//! A message on its way to the provider, in its words, and the answer to it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::message::attempt::{Answer, AttemptId};
use crate::domain::message::message::{Message, MessageWords};

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

impl From<MessageWords> for TemplateMessage {
    fn from(words: MessageWords) -> TemplateMessage {
        TemplateMessage {
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
        }
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
    /// When the last change was made that it tells.
    pub changed_at: Timestamp,
    /// How long it may go without `delivered` before it goes on to the next channel.
    pub undelivered_after: Option<Duration>,
    pub message: TemplateMessage,
    /// Attempts of the other messages that the request says.
    pub carries: Vec<AttemptId>,
}

impl Outgoing {
    /// None: it has no words, or no row.
    pub fn new(
        message: Message,
        attempt: i16,
        lease_expires_at: Timestamp,
        carries: Vec<AttemptId>,
    ) -> Option<Outgoing> {
        let (message_id, words) = (message.message_id?, *message.words?);
        Some(Outgoing {
            message_id,
            watch: message.watch,
            channel: message.channel,
            attempt,
            lease_expires_at,
            changed_at: message.last_changed_at,
            undelivered_after: words.undelivered_after,
            message: TemplateMessage::from(words),
            carries,
        })
    }

    pub fn id(&self) -> AttemptId {
        AttemptId { message_id: self.message_id, number: self.attempt }
    }

    /// Every attempt that the request makes.
    pub fn attempts(&self) -> impl Iterator<Item = AttemptId> + '_ {
        std::iter::once(self.id()).chain(self.carries.iter().copied())
    }
}

/// A message that went out, or did not, and the answer to it.
pub struct Settled {
    pub outgoing: Outgoing,
    pub answer: Answer,
}
