//! Typed settings. `config/default.toml` is the documented default and the first layer; see
//! `config/load.rs` for the others and for what a mistake looks like.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::domain::change::Operation;
use crate::domain::column::ColumnRules;
use crate::domain::phrases::PhraseSettings;
use crate::domain::summary::SayRule;
use crate::domain::text::LocalText;

pub mod check;
pub mod load;
mod reading;
pub mod show;
pub mod units;

/// Everything that `rowbell` is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub installation: Installation,
    pub database: Database,
    pub doorbell: Doorbell,
    pub recipient: RecipientDefaults,
    pub delivery: Delivery,
    pub circuit: Circuit,
    pub webhook: Webhook,
    pub log: Log,
    #[serde(default)]
    pub channel: BTreeMap<String, Channel>,
    #[serde(default)]
    pub template: BTreeMap<String, Template>,
    #[serde(default)]
    pub watch: BTreeMap<String, Watch>,
    /// What rowbell says by itself, by language tag.
    #[serde(default)]
    pub phrase: BTreeMap<String, PhraseSettings>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installation {
    /// Name of the environment, such as `production`.
    pub environment: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// libpq URL or key=value string.
    pub url: String,
    /// File that holds the password, if the URL does not.
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) of the authority that must have signed the server's.
    pub ca_file: Option<PathBuf>,
    /// Connections beside the listener's.
    pub pool_size: usize,
    #[serde(deserialize_with = "units::duration")]
    pub connect_timeout: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub statement_timeout: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Doorbell {
    /// How long to stay awake after the last change before parking.
    #[serde(deserialize_with = "units::duration")]
    pub linger: Duration,
    /// How often to look while awake.
    #[serde(deserialize_with = "units::duration")]
    pub awake_poll: Duration,
    /// How often to look while parked, in case a ring was lost.
    #[serde(deserialize_with = "units::duration")]
    pub safety_poll: Duration,
    /// How often the listening session proves itself alive.
    #[serde(deserialize_with = "units::duration")]
    pub heartbeat: Duration,
}

/// What holds for a recipient whose row does not say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientDefaults {
    /// Region of phones written without country code, such as `US`; empty: such phones are refused.
    pub region: String,
    pub locale: String,
    pub time_zone: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Changes or messages handled by one statement.
    pub batch: usize,
    /// How long the right to send one message holds.
    #[serde(deserialize_with = "units::duration")]
    pub lease: Duration,
    pub max_attempts: u16,
    #[serde(deserialize_with = "units::duration")]
    pub retry_base: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub retry_cap: Duration,
    /// How long to wait for evidence before the watch's policy decides.
    #[serde(deserialize_with = "units::duration")]
    pub unconfirmed_after: Duration,
    /// How long to finish what is in flight after SIGTERM.
    #[serde(deserialize_with = "units::duration")]
    pub shutdown_timeout: Duration,
}

/// When a channel or a template stops by itself, and how it is tried again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Circuit {
    /// How far back outcomes are counted.
    #[serde(deserialize_with = "units::duration")]
    pub window: Duration,
    /// Outcomes within the window before their share means anything.
    pub minimum: u32,
    /// Share of permanent errors that stops a channel or template, above 0 and up to 1.
    pub share: f64,
    /// The pause before one message is tried; it doubles up to `longest_pause`.
    #[serde(deserialize_with = "units::duration")]
    pub first_pause: Duration,
    #[serde(deserialize_with = "units::duration")]
    pub longest_pause: Duration,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Address to listen on, such as `127.0.0.1:8470`; empty: no webhook.
    pub listen: String,
    /// File that holds the secret at the end of the path.
    pub secret_file: Option<PathBuf>,
    /// Bytes of one request body.
    pub body_limit: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `tracing` filter, such as `info` or `rowbell=debug`.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `journald` under systemd, `text` otherwise.
    Auto,
    Text,
    Json,
    Journald,
}

/// One sending identity at a provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    pub provider: ProviderKind,
    pub channel_id: String,
    /// File that holds the token. A relative path is looked for in `$CREDENTIALS_DIRECTORY` first.
    pub token_file: PathBuf,
    #[serde(default = "default_base_url")]
    pub base_url: String,
    #[serde(default)]
    pub auth: AuthPlace,
    /// Messages a second that this channel may send.
    #[serde(default = "default_rate", deserialize_with = "units::rate")]
    pub rate: units::Rate,
    /// Requests in flight at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    #[serde(default = "default_request_timeout", deserialize_with = "units::duration")]
    pub timeout: Duration,
    #[serde(default = "default_connect_timeout", deserialize_with = "units::duration")]
    pub connect_timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ProviderKind {
    #[serde(rename = "1msg")]
    OneMsg,
}

/// Where the token goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthPlace {
    #[default]
    Header,
    Query,
}

fn default_base_url() -> String {
    "https://api.1msg.io".to_owned()
}

fn default_rate() -> units::Rate {
    units::Rate::per_second(80)
}

fn default_concurrency() -> usize {
    64
}

fn default_request_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_connect_timeout() -> Duration {
    Duration::from_secs(5)
}

/// An approved template of the provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub name: String,
    pub namespace: String,
    /// Language code at the provider: one, or one for each language tag.
    pub language: LocalText,
    /// Body variables in order, as MiniJinja templates over `recipient`, `service`, `summary`, `row`.
    pub body: Vec<String>,
    /// The approved body text with its `{{1}}` …, for preview and for the room that it leaves.
    pub text: Option<LocalText>,
}

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
