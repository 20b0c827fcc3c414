//! Typed settings. `config/default.toml` is the documented default and the first layer; see
//! `config/load.rs` for the others and for what a mistake looks like.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use crate::domain::message::expiry::Category;
use crate::domain::message::poll_schedule::PollSchedule;
use crate::domain::recipient::allow_list::AllowList;
use crate::domain::text::localized_text::LocalizedText;
use crate::domain::text::phrases::PhraseSettings;

pub mod alert;
pub mod capture;
pub mod channel;
pub mod check {
    pub mod check;
    mod check_alert;
    mod check_channel;
    mod check_findings;
    mod check_outgoing_webhook;
    pub mod check_secrets;
    mod check_url;
}
pub mod gateway;
mod layers {
    pub mod reading;
    mod reading_error;
    pub mod sources;
    pub mod tree;
}
pub mod load;
pub mod outgoing_webhook;
pub mod quiet_hours;
pub mod secret;
pub mod server_address {
    pub mod password_file;
    pub mod server_address;
    pub mod service_file;
}
pub mod show;
pub mod units;
pub mod watch;

pub use alert::AlertSettings;
pub use capture::{CaptureSettings, OnFull};
pub use channel::{AuthPlace, Budget, Channel, ChannelKind, ChannelLimits, OneMsg};
pub use gateway::{Answers, Http, HttpMethod, RecipientAddress, Smtp, SmtpTls};
pub use outgoing_webhook::OutgoingWebhook;
pub use quiet_hours::{QuietHoursDefaults, WatchQuietHours};
pub use watch::{
    Consent, FallbackStep, Handover, Lookup, OutcomeHook, Storm, UnconfirmedPolicy, Watch,
    WatchStorm,
};

/// Everything that `rowbell` is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub installation: Installation,
    pub database: Database,
    pub doorbell: DoorbellSettings,
    pub capture: CaptureSettings,
    pub recipient: RecipientDefaults,
    pub quiet_hours: QuietHoursDefaults,
    pub delivery: Delivery,
    pub circuit: CircuitSettings,
    pub retention: RetentionSettings,
    pub polling: Polling,
    pub storm: Storm,
    pub webhook: Webhook,
    pub inbound: InboundSettings,
    pub metrics: Metrics,
    pub page: PageSettings,
    pub outcome: OutcomeSettings,
    pub alert: AlertSettings,
    pub log: Log,
    #[serde(default)]
    pub outgoing_webhook: BTreeMap<String, OutgoingWebhook>,
    #[serde(default)]
    pub channel: BTreeMap<String, Channel>,
    #[serde(default)]
    pub budget: BTreeMap<String, Budget>,
    #[serde(default)]
    pub template: BTreeMap<String, TemplateSettings>,
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
    /// Nothing is sent on any channel: messages are recorded instead.
    pub dry_run: bool,
    /// The only phones and mail addresses that are written to; None: everybody is.
    pub only_to: Option<Vec<String>>,
}

#[derive(Clone, Deserialize)]
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
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
    /// Whether outcomes are noted for the application: some watch has a hook, there is an outgoing webhook, or whoever
    /// listens is notified. Not a setting: it follows from others once they are read.
    #[serde(skip)]
    pub notes_outcomes: bool,
}

/// There may be a password in the URL.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoorbellSettings {
    /// How long to stay awake after the last change before parking.
    pub linger: Duration,
    /// How often to look while awake.
    pub awake_poll: Duration,
    /// How often to look while parked, in case a ring was lost.
    pub safety_poll: Duration,
    /// How often the listening session proves itself alive.
    pub heartbeat: Duration,
}

/// What holds for a recipient whose row does not say.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientDefaults {
    /// Region of phones written without country code, such as `US`; empty: such phones are refused.
    pub region: String,
    pub locale: String,
    /// Empty: nobody chose one. It is UTC then, and hours are told with its name.
    pub time_zone: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Changes or messages handled by one statement.
    pub batch: usize,
    /// How long the right to send one message holds.
    pub lease: Duration,
    pub max_attempts: u16,
    pub retry_base: Duration,
    pub retry_cap: Duration,
    /// How long to wait for evidence before the watch's policy decides.
    pub unconfirmed_after: Duration,
    /// How long to finish what is in flight after SIGTERM.
    pub shutdown_timeout: Duration,
}

/// When a channel or a template stops by itself, and how it is tried again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CircuitSettings {
    /// How far back outcomes are counted.
    pub window: Duration,
    /// Outcomes within the window before their share means anything.
    pub minimum: u32,
    /// Share of permanent errors that stops a channel or template, above 0 and up to 1.
    pub share: f64,
    /// The pause before one message is tried; it doubles up to `longest_pause`.
    pub first_pause: Duration,
    pub longest_pause: Duration,
}

/// How long what is stored is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// Who was told, and in which words; None: for ever.
    #[serde(deserialize_with = "units::age")]
    pub personal: Option<Duration>,
    /// That a message was sent, and how it ended; None: for ever.
    #[serde(deserialize_with = "units::age")]
    pub facts: Option<Duration>,
}

/// What customers may write to be left alone, by language tag.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboundSettings {
    /// Whether what customers answer to messages is kept.
    pub replies: bool,
    pub opt_out: BTreeMap<String, Vec<String>>,
    pub opt_in: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Address to listen on, such as `127.0.0.1:8470`; empty: no webhook.
    pub listen: String,
    /// File that holds the secret at the end of the path.
    pub secret_file: Option<PathBuf>,
    /// Who may connect; empty: everybody.
    #[serde(deserialize_with = "units::networks")]
    pub networks: Vec<IpNet>,
    /// Bytes of one request body.
    pub body_limit: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// One delivery, from its first byte to our answer.
    pub timeout: Duration,
    /// How often the provider is asked whether it still posts to us.
    pub look_every: Duration,
}

/// Asking for what no receipt told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polling {
    pub enabled: bool,
    /// Questions a second and channel, apart from sending.
    pub rate: units::Rate,
    /// How long after the acceptance the first question is asked.
    pub first_after: Duration,
    /// What each pause is longer than the one before.
    pub factor: f64,
    pub longest_pause: Duration,
    /// How long delivered messages are asked for their `read`.
    pub reads_for: Duration,
    /// How long after the acceptance nothing is asked any more.
    pub lost_after: Duration,
}

impl Polling {
    pub fn asking(&self) -> PollSchedule {
        PollSchedule {
            first_after: self.first_after,
            factor: self.factor,
            longest_pause: self.longest_pause,
            reads_for: self.reads_for,
            lost_after: self.lost_after,
        }
    }
}

/// What a monitoring system reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Address on which `/metrics` is served, such as `127.0.0.1:9464`; empty: nothing is counted.
    pub listen: String,
    /// File with the token that whoever asks has to bring along.
    pub token_file: Option<PathBuf>,
}

/// How the application is told what became of messages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeSettings {
    /// NOTIFY rowbell_outcome for each outcome of every watch.
    pub notify: bool,
    /// How long one hook may work.
    pub timeout: Duration,
}

/// The page on which people see what was told, and decide.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageSettings {
    /// Address such as `127.0.0.1:8471`, or `unix:` and a path; empty: no page.
    pub listen: String,
    /// File with the token of those who may read.
    pub read_token_file: Option<PathBuf>,
    /// File with the token of those who may decide as well; None: nobody decides here.
    pub act_token_file: Option<PathBuf>,
    /// How long a login holds.
    pub session: Duration,
    /// Who may connect; empty: everybody who can reach the address.
    #[serde(deserialize_with = "units::networks")]
    pub networks: Vec<IpNet>,
}

impl PageSettings {
    /// The path of the socket, if it is one.
    pub fn socket(&self) -> Option<&str> {
        self.listen.strip_prefix("unix:")
    }

    fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.read_token_file.iter_mut().chain(&mut self.act_token_file)
    }
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

/// A template as WhatsApp approved it; on other channels, its text.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSettings {
    /// Name at the provider; WhatsApp needs it.
    #[serde(default)]
    pub name: String,
    /// WhatsApp needs it.
    #[serde(default)]
    pub namespace: String,
    /// Language code at the provider: one, or one for each language tag.
    pub language: LocalizedText,
    /// Body variables in order, as MiniJinja templates over `recipient`, `service`, `summary`, `row`.
    pub body: Vec<String>,
    /// The approved body text with its `{{1}}` …, for preview and for the room that it leaves; other
    /// channels than WhatsApp send it.
    pub text: Option<LocalizedText>,
    /// As WhatsApp approved it.
    #[serde(default)]
    pub category: Category,
    /// Whether WhatsApp keeps messages for a phone that is off only until they expire.
    #[serde(default = "yes")]
    pub time_to_live: bool,
}

fn yes() -> bool {
    true
}

impl Config {
    /// Whether the application wants to be told in the database what became of messages.
    pub fn has_outcome_hooks(&self) -> bool {
        self.outcome.notify || self.watch.values().any(|watch| !watch.outcome.is_empty())
    }

    /// Whether outcomes are noted when they are stored.
    pub fn notes_outcomes(&self) -> bool {
        self.has_outcome_hooks() || !self.outgoing_webhook.is_empty()
    }

    /// Every file that the settings name.
    pub fn files_mut(&mut self) -> Vec<&mut PathBuf> {
        let database = self.database.password_file.iter_mut().chain(&mut self.database.ca_file);
        let own = database.chain(&mut self.webhook.secret_file).chain(self.page.files_mut());
        let own = own.chain(&mut self.metrics.token_file);
        let endpoints = self.outgoing_webhook.values_mut().flat_map(OutgoingWebhook::files_mut);
        let own = own.chain(endpoints);
        own.chain(self.channel.values_mut().flat_map(Channel::files_mut)).collect()
    }

    /// The only people who may be written to; None: there is no such list. One that cannot be read allows nobody;
    /// `check` says what is wrong with it.
    pub fn only_to(&self) -> Option<AllowList> {
        let entries = self.installation.only_to.as_ref()?;
        Some(AllowList::parse(entries, &self.recipient.region).unwrap_or_default())
    }
}
