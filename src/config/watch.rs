//! `[watch.X]`: one table, which columns matter, who is told, in which words.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::config::{Config, OnFull, WatchQuietHours};
use crate::domain::message::state::{Failure, Skip, State};
use crate::domain::outcome::OutcomeState;
use crate::domain::text::localized_text::LocalizedText;
use crate::domain::text::rules::SayRule;
use crate::domain::value::change::Operation;
use crate::domain::value::column::ColumnRules;

/// What holds for a watch that does not say.
pub const DEFAULTS: &str = r#"
key = []
context = []
on = ["update"]
quiet_period = "20s"
max_wait = "5m"
share = 1
unconfirmed = "hold"
consent = "needed"
max_recipients = 10
handover = "both"
"#;

/// `[watch.X.lookup.COLUMN]`: how the row that a foreign key points to is called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookup {
    /// SQL over `wanted`, which has the column with one of its values; gives `label`, and perhaps
    /// columns named by language tags.
    pub sql: String,
}

/// What to do about a message that stays unconfirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnconfirmedPolicy {
    #[default]
    Hold,
    Resend,
    GiveUp,
}

/// Whether recipients have to say themselves that they may be written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// `rowbell check` says so where the recipient query does not give it.
    #[default]
    Needed,
    /// It is on record elsewhere.
    NotNeeded,
}

/// Who is told when a row goes over to other recipients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handover {
    /// The new ones, in whole, and those before that it is no longer theirs.
    #[default]
    Both,
    New,
    None,
}

/// Whose messages are joined into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Digest {
    /// What is due for one recipient within the quiet period.
    Recipient,
}

/// `[[watch.X.fallback]]`: the channel that a message goes to when the one before it did not reach the
/// recipient.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FallbackStep {
    pub channel: String,
    /// How long a message that was accepted may go without `delivered`; without it, only a failure
    /// leads here.
    pub after: Option<Duration>,
    /// The template whose text is sent; the watch's when absent.
    pub template: Option<String>,
    /// Whether it is used for those who do not want messages on WhatsApp.
    #[serde(default)]
    pub on_opt_out: bool,
}

/// `[[watch.X.outcome]]`: SQL of the application that is run when a message has come to one of some states.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeHook {
    pub states: Vec<OutcomeState>,
    /// One statement with parameters such as `$key` and `$sent_at`.
    pub sql: String,
    /// The role that runs it; None: the user of the daemon.
    pub role: Option<String>,
}

/// The configuration for one table: which columns matter, who is told, in which words.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Table as PostgreSQL writes it: `public.delivery`, `"Sales"."Order"`.
    pub table: String,
    /// Columns that identify the entity; the primary key when empty.
    pub key: Vec<String>,
    pub channel: String,
    pub template: String,
    pub service: Option<LocalizedText>,
    /// Columns whose change is told; `details.window` is a path into a JSON column.
    pub columns: Vec<String>,
    /// Columns that the recipient query and the templates need besides `columns` and the key.
    pub context: Vec<String>,
    pub on: Vec<Operation>,
    /// SQL over `changed` that gives name, phone, and perhaps locale, time_zone, opted_in.
    pub recipient: String,
    /// How many recipients an entity may have; more are taken for a mistake in the query.
    pub max_recipients: usize,
    pub handover: Handover,
    /// None: each row is told in a message of its own.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// SQL expression over `changed`: after this moment the message is stale.
    pub expires_at: Option<String>,
    pub quiet_period: Duration,
    pub max_wait: Duration,
    /// Whether the trigger may ring (NOTIFY), which PostgreSQL refuses in a transaction that is prepared. None: where the
    /// server allows no prepared transactions.
    #[serde(default)]
    pub ring: Option<bool>,
    /// `capture.on_full`, for its trigger.
    #[serde(skip)]
    pub on_full: OnFull,
    /// How large its part of the channel is where messages of several watches wait for it.
    pub share: u32,
    pub unconfirmed: UnconfirmedPolicy,
    pub consent: Consent,
    /// Where a message goes that did not reach its recipient, in this order.
    #[serde(default)]
    pub fallback: Vec<FallbackStep>,
    /// Name of a column in the words; the column's own name when absent.
    #[serde(default)]
    pub label: BTreeMap<String, LocalizedText>,
    /// Names of values in the words, by column and value.
    #[serde(default)]
    pub value: BTreeMap<String, BTreeMap<String, LocalizedText>>,
    /// How values of a column are compared and shown.
    #[serde(default)]
    pub column: BTreeMap<String, ColumnRules>,
    /// Queries that name the rows which the values of a column point to.
    #[serde(default)]
    pub lookup: BTreeMap<String, Lookup>,
    #[serde(default)]
    pub say: Vec<SayRule>,
    /// What the application is told of what became of a message.
    #[serde(default)]
    pub outcome: Vec<OutcomeHook>,
    pub locale: Option<String>,
    pub time_zone: Option<String>,
    /// SQL expression over `changed`: the zone in which the times of this row are read, above all others.
    pub row_time_zone: Option<String>,
    #[serde(default)]
    pub quiet_hours: WatchQuietHours,
    #[serde(default)]
    pub storm: WatchStorm,
}

impl Watch {
    /// The channels that come after one of the watch's, in this order.
    pub fn fallbacks_after(&self, channel: &str) -> &[FallbackStep] {
        let place = self.fallback.iter().position(|step| step.channel == channel);
        match place {
            Some(place) => &self.fallback[place + 1..],
            None if channel == self.channel => &self.fallback,
            None => &[],
        }
    }

    /// How long a message on a channel may go without `delivered` before the next channel is used.
    pub fn undelivered_after(&self, channel: &str) -> Option<Duration> {
        self.fallbacks_after(channel).first()?.after
    }

    /// Whether a message that ended so on a channel goes on to another. What is wrong with the message
    /// itself, its template or its channel does not: every message would.
    pub fn may_fall_back(&self, channel: &str, state: State) -> bool {
        let mut steps = self.fallbacks_after(channel).iter();
        match state {
            State::Failed(Failure::Undeliverable | Failure::Exhausted)
            | State::Skipped(Skip::BadPhone | Skip::BadEmail) => steps.next().is_some(),
            State::Skipped(Skip::OptedOut) => steps.any(|step| step.on_opt_out),
            _ => false,
        }
    }
}

/// `[storm]`: rows of one watch whose messages leave without a question. 0: any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// Changed by one transaction.
    pub transaction: usize,
    /// Changed within a minute.
    pub minute: usize,
}

/// `[watch.X.storm]`: what a watch says of it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchStorm {
    pub transaction: Option<usize>,
    pub minute: Option<usize>,
}

impl Config {
    /// The watches, and the channel of each.
    pub fn channels_of_watches(&self) -> (Vec<&str>, Vec<&str>) {
        self.watch.iter().map(|(name, watch)| (name.as_str(), watch.channel.as_str())).unzip()
    }

    /// The limits of a watch.
    pub fn storm_of(&self, watch: &str) -> Storm {
        let own = self.watch.get(watch).map(|watch| watch.storm).unwrap_or_default();
        Storm {
            transaction: own.transaction.unwrap_or(self.storm.transaction),
            minute: own.minute.unwrap_or(self.storm.minute),
        }
    }
}
