//! What a customer answers to a message.

use std::fmt;

use jiff::Timestamp;
use strum::{EnumString, IntoStaticStr, VariantArray};

/// How they answered. The words are those of `rowbell.reply_kind`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ReplyKind {
    Text,
    /// A button, or an item of a list.
    Button,
    Reaction,
    /// A picture and the like.
    #[default]
    Other,
}

/// An answer that quotes a message. Never printed: it is what a person wrote.
#[derive(Clone, PartialEq)]
pub struct Reply {
    /// Its id at the provider.
    pub id: String,
    /// Id at the provider of the message that it answers.
    pub context_id: String,
    pub kind: ReplyKind,
    /// Digits.
    pub phone: String,
    /// Its words, or what stands on the button.
    pub body: Option<String>,
    /// What the button carries.
    pub payload: Option<String>,
    pub written_at: Option<Timestamp>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} to {})", self.id, self.context_id)
    }
}
