//! What the application is told of an outcome, and what of a person only where it asked for that.

use std::fmt;

use jiff::Timestamp;

use crate::domain::outcome::PersonalField;

/// An outcome as it can be told.
#[derive(Clone, Debug, Default)]
pub struct OutcomeEvent {
    pub outcome: String,
    pub stored_at: Timestamp,
    pub watch: String,
    pub message_id: i64,
    /// None where the message was removed since.
    pub entity_key: Option<String>,
    pub reason: Option<String>,
    pub channel: Option<String>,
    pub operation: Option<String>,
    pub fallback_of: Option<i64>,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// How a customer answered, where that is the event.
    pub reply_kind: Option<String>,
    pub replied_at: Option<Timestamp>,
    pub person: PersonalFacts,
}

/// What an endpoint is told only where its settings say so.
#[derive(Clone, Default)]
pub struct PersonalFacts {
    pub recipient_key: Option<String>,
    pub recipient_name: Option<String>,
    pub recipient_phone: Option<String>,
    pub provider_message_id: Option<String>,
    pub summary: Option<String>,
    pub reply_text: Option<String>,
    pub reply_payload: Option<String>,
}

impl fmt::Debug for PersonalFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalFacts(…)")
    }
}

impl PersonalFacts {
    pub fn get(&self, field: PersonalField) -> Option<&str> {
        match field {
            PersonalField::RecipientKey => &self.recipient_key,
            PersonalField::RecipientName => &self.recipient_name,
            PersonalField::RecipientPhone => &self.recipient_phone,
            PersonalField::ProviderMessageId => &self.provider_message_id,
            PersonalField::Summary => &self.summary,
            PersonalField::ReplyText => &self.reply_text,
        }
        .as_deref()
    }
}
