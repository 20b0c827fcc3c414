//! What a person may decide.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::message::unconfirmed::Settlement;

/// What a person did. The words are those of `rowbell.person_act_kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum PersonActKind {
    /// Held messages leave.
    Approved,
    /// Held messages end.
    Discarded,
    /// An unconfirmed message counts as delivered.
    Arrived,
    /// An unconfirmed message ends as failed.
    GiveUp,
    /// An unconfirmed message is sent again.
    SendAgain,
    /// A message that had failed, was skipped or unconfirmed is sent again.
    Retried,
    /// What was never captured is held, to be decided about.
    CaughtUp,
    /// Name and phone of a message were shown.
    Shown,
    /// A channel or a watch waits.
    Paused,
    /// A channel or a watch goes on.
    Resumed,
    /// A channel was given to another daemon.
    Moved,
    /// This database sends, although it is a copy.
    Adopted,
    /// The personal data of somebody were removed.
    Forgotten,
}

/// How a person did it. The words are those of `rowbell.person_act_way`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum PersonActWay {
    /// On the page for people.
    Page,
    /// With a command.
    Command,
}

impl PersonActKind {
    pub fn in_words(self) -> &'static str {
        match self {
            PersonActKind::Approved => "approved",
            PersonActKind::Discarded => "discarded",
            PersonActKind::Arrived => "said that it arrived",
            PersonActKind::GiveUp => "gave it up",
            PersonActKind::SendAgain => "wanted it sent again",
            PersonActKind::Retried => "sent again",
            PersonActKind::CaughtUp => "caught up with",
            PersonActKind::Shown => "asked to see name and phone",
            PersonActKind::Paused => "paused",
            PersonActKind::Resumed => "resumed",
            PersonActKind::Moved => "moved to another daemon",
            PersonActKind::Adopted => "let this database send",
            PersonActKind::Forgotten => "removed the data of somebody",
        }
    }
}

impl From<Settlement> for PersonActKind {
    fn from(settlement: Settlement) -> PersonActKind {
        match settlement {
            Settlement::Arrived => PersonActKind::Arrived,
            Settlement::GiveUp => PersonActKind::GiveUp,
            Settlement::SendAgain => PersonActKind::SendAgain,
        }
    }
}
