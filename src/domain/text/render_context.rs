//! What words are made for: a change, its row, and the one who reads of it.

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::text::labels::FoundNames;
use crate::domain::value::change::Operation;
use crate::domain::value::column::Columns;
use crate::domain::value::diff::FieldChange;
use crate::domain::value::row::Row;

/// Characters that the body of a template message may have (WhatsApp).
pub const BODY_LIMIT: usize = 1_024;

/// What is to be said, and to whom.
#[derive(Clone, Copy, Debug)]
pub struct RenderContext<'a> {
    pub operation: Operation,
    pub changes: &'a [FieldChange],
    /// What the recipient was last told.
    pub old: Option<&'a Row>,
    /// The row now; for a delete, as it was last told.
    pub row: &'a Row,
    pub columns: &'a Columns,
    /// Names of the rows that foreign keys point to.
    pub names: &'a Arc<FoundNames>,
    pub name: &'a str,
    pub locale: &'a str,
    pub time_zone: &'a str,
    /// The zone that the service lives in, where the watch names one: a reader elsewhere is told
    /// whose clock is meant.
    pub service_zone: Option<&'a str>,
    /// Nobody chose the time zone: hours are told with its name.
    pub is_zone_unchosen: bool,
    pub now: Timestamp,
}

/// Why a message cannot be put into words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    #[error("{place}: {why}")]
    Template { place: String, why: String },
    #[error("{0} is empty, and WhatsApp refuses empty variables")]
    Empty(String),
    #[error("the template has no language for locale \"{0}\" and no default")]
    Language(String),
    #[error("the body would have {0} characters without the summary; {BODY_LIMIT} are allowed")]
    TooLong(usize),
    /// No fault: the rules leave nothing to say.
    #[error("the say rules keep silent about this change")]
    Silent,
    /// No fault: the recipient would read what they read before.
    #[error("what changed looks the same to the recipient")]
    LooksTheSame,
}
