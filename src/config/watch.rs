//! `[watch.X]`: one table, which columns matter, who is told, in which words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{WatchStorm, units};
use crate::domain::change::Operation;
use crate::domain::column::ColumnRules;
use crate::domain::summary::SayRule;
use crate::domain::text::LocalText;

/// `[watch.X.lookup.COLUMN]`: how the row that a foreign key points to is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// SQL over `wanted`, which has the column with one of its values; gives `label`, and perhaps
    /// columns named by language tags.
    pub sql: String,
}

/// What to do about a message whose fate stays unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnconfirmedPolicy {
    #[default]
    Hold,
    Resend,
    GiveUp,
}

/// The configuration for one table: which columns matter, who is told, in which words.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Table as PostgreSQL writes it: `public.delivery`, `"Sales"."Order"`.
    pub table: String,
    /// Columns that identify the entity; the primary key when empty.
    #[serde(default)]
    pub key: Vec<String>,
    pub channel: String,
    pub template: String,
    pub service: Option<LocalText>,
    /// Columns whose change is told; `details.window` is a path into a JSON column.
    pub columns: Vec<String>,
    /// Columns that the recipient query and the templates need besides `columns` and the key.
    #[serde(default)]
    pub context: Vec<String>,
    #[serde(default = "default_on")]
    pub on: Vec<Operation>,
    /// SQL over `changed` that gives name, phone, and perhaps locale, time_zone, opted_in.
    pub recipient: String,
    /// SQL expression over `changed`: after this moment the message is stale.
    pub expires_at: Option<String>,
    #[serde(default = "default_quiet_period", deserialize_with = "units::duration")]
    pub quiet_period: Duration,
    #[serde(default = "default_max_wait", deserialize_with = "units::duration")]
    pub max_wait: Duration,
    /// Whether the trigger may ring (NOTIFY). Off for tables whose transactions use PREPARE TRANSACTION.
    #[serde(default = "default_true")]
    pub ring: bool,
    #[serde(default)]
    pub unconfirmed: UnconfirmedPolicy,
    /// Name of a column in the words; the column's own name when absent.
    #[serde(default)]
    pub label: BTreeMap<String, LocalText>,
    /// Names of values in the words, by column and value.
    #[serde(default)]
    pub value: BTreeMap<String, BTreeMap<String, LocalText>>,
    /// How values of a column are compared and shown.
    #[serde(default)]
    pub column: BTreeMap<String, ColumnRules>,
    /// Queries that name the rows which the values of a column point to.
    #[serde(default)]
    pub lookup: BTreeMap<String, Lookup>,
    #[serde(default)]
    pub say: Vec<SayRule>,
    pub locale: Option<String>,
    pub time_zone: Option<String>,
    #[serde(default)]
    pub storm: WatchStorm,
}

fn default_on() -> Vec<Operation> {
    vec![Operation::Update]
}

fn default_quiet_period() -> Duration {
    Duration::from_secs(20)
}

fn default_max_wait() -> Duration {
    Duration::from_secs(300)
}

fn default_true() -> bool {
    true
}
