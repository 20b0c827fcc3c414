//! `[channel.X]`: one sending identity at a provider. Which settings it has depends on its provider.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::config::Config;
use crate::config::gateway::{Answers, Http, RecipientAddress, Smtp};
use crate::config::layers::reading::{TAG, fields_of};
use crate::config::layers::tree::{self, Table, Value, ValueKind};
use crate::config::units::Rate;

/// What holds for a channel of each provider that does not say.
pub const DEFAULTS: &str = r#"
[1msg]
rate = "80/s"
concurrency = 64
timeout = "30s"
connect_timeout = "5s"
auth = "header"
base_url = "https://api.1msg.io"
daily_recipients = 0
# WhatsApp bears 45 messages at once to one phone, and then one in 6 s; some of it is left to others who
# write through the same number.
pair_burst = 20
pair_every = "6s"

[http]
rate = "10/s"
concurrency = 16
timeout = "30s"
connect_timeout = "5s"
method = "POST"
accepted_status = ["200-299"]
channel_on = ["401", "402", "403", "404", "405"]
recipient_on = []
retry_on = []
slow_on = ["429"]

[smtp]
rate = "10/s"
concurrency = 4
timeout = "30s"
connect_timeout = "5s"
tls = "starttls"
"#;

/// One sending identity at a provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Written")]
pub struct Channel {
    pub kind: ChannelKind,
    /// Messages a second that this channel may send.
    pub rate: Rate,
    pub limits: ChannelLimits,
    /// Requests in flight at once.
    pub concurrency: usize,
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// Nothing is sent on it: messages are recorded instead.
    pub dry_run: bool,
}

/// A channel as it is written: its settings stand side by side in one table, which `provider` tells
/// apart.
#[derive(Deserialize)]
#[serde(rename = "provider")]
enum Written {
    #[serde(rename = "1msg")]
    OneMsg((Sending, ChannelLimits, OneMsg)),
    #[serde(rename = "http")]
    Http((Sending, Box<Answers>, Box<Http>)),
    #[serde(rename = "smtp")]
    Smtp((Sending, Box<Smtp>)),
}

/// What every channel has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sending {
    rate: Rate,
    concurrency: usize,
    timeout: Duration,
    connect_timeout: Duration,
    #[serde(default)]
    dry_run: bool,
}

impl From<Written> for Channel {
    fn from(written: Written) -> Channel {
        let (sending, limits, kind) = match written {
            Written::OneMsg((sending, limits, own)) => (sending, limits, ChannelKind::OneMsg(own)),
            Written::Http((sending, answers, own)) => (
                sending,
                ChannelLimits::none(),
                ChannelKind::Http(Box::new(Http { answers: *answers, ..*own })),
            ),
            Written::Smtp((sending, own)) => {
                (sending, ChannelLimits::none(), ChannelKind::Smtp(own))
            }
        };
        let Sending { rate, concurrency, timeout, connect_timeout, dry_run } = sending;
        Channel { kind, rate, limits, concurrency, timeout, connect_timeout, dry_run }
    }
}

/// The provider whose channels have a setting that those of others do not have.
pub fn provider_with(setting: &str) -> Option<&'static str> {
    let has = |fields: Vec<&str>| fields.contains(&setting);
    let providers = [
        ("1msg", has(fields_of::<OneMsg>()) || has(fields_of::<ChannelLimits>())),
        ("http", has(fields_of::<Http>()) || has(fields_of::<Answers>())),
        ("smtp", has(fields_of::<Smtp>())),
    ];
    providers.into_iter().find(|(_, has)| *has).map(|(provider, _)| provider)
}

/// What a channel leaves to its defaults.
pub fn defaults_of(channel: &Value, of_providers: &Table) -> Option<Value> {
    let channel = tree::table(channel)?;
    let provider = channel.get(TAG).and_then(tree::text)?;
    let mut defaults = of_providers.get(provider)?.clone();
    if let ("smtp", ValueKind::Table(defaults)) = (provider, &mut defaults.kind) {
        let port = match channel.get("tls").and_then(tree::text) {
            Some("tls") => 465,
            Some("none") => 25,
            _ => 587,
        };
        defaults.insert("port".to_owned(), Value::from(port));
    }
    Some(defaults)
}

/// Whom a channel may write to, and how often; see `provider/limiter.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelLimits {
    /// One phone gets one message in this time, once its burst is used up.
    pub pair_every: Duration,
    /// Messages to one phone that may be sent at once; 0: any number.
    pub pair_burst: u32,
    /// Different phones within 24 hours; 0: any number.
    pub daily_recipients: u32,
}

/// `[budget.X]`: what several channels share, because WhatsApp counts it by business portfolio.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    pub channels: Vec<String>,
    /// Different phones within 24 hours, over all of them.
    pub daily_recipients: u32,
}

impl Config {
    /// The budget of a channel, if it has one.
    pub fn budget_of(&self, channel: &str) -> Option<(&str, &Budget)> {
        let mut budgets = self.budget.iter();
        let found = budgets.find(|(_, budget)| budget.channels.iter().any(|name| name == channel));
        found.map(|(name, budget)| (name.as_str(), budget))
    }
}

impl ChannelLimits {
    /// Nobody is written to too often.
    pub const fn none() -> ChannelLimits {
        ChannelLimits { pair_every: Duration::from_secs(6), pair_burst: 0, daily_recipients: 0 }
    }

    /// The limit of one phone, if there is one.
    pub fn pair(self) -> Option<(Duration, u32)> {
        (self.pair_burst > 0).then_some((self.pair_every, self.pair_burst))
    }
}

/// What the provider of a channel speaks.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    OneMsg(OneMsg),
    Http(Box<Http>),
    Smtp(Box<Smtp>),
}

/// A WhatsApp number at 1MSG.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneMsg {
    pub channel_id: String,
    /// File that holds the token. A relative path is looked for in `$CREDENTIALS_DIRECTORY` first.
    pub token_file: PathBuf,
    pub base_url: String,
    pub auth: AuthPlace,
}

/// Where the token goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthPlace {
    Header,
    Query,
}

impl Config {
    /// Whether messages of a channel are recorded instead of sent.
    pub fn is_dry_run(&self, channel: &str) -> bool {
        self.installation.dry_run
            || self.channel.get(channel).is_some_and(|channel| channel.dry_run)
    }

    /// The channels on which nothing is sent.
    pub fn dry_run_channels(&self) -> Vec<&str> {
        self.channel.keys().map(String::as_str).filter(|name| self.is_dry_run(name)).collect()
    }
}

impl Channel {
    /// The settings of a WhatsApp number at 1MSG, if it is one.
    pub fn one_msg(&self) -> Option<&OneMsg> {
        match &self.kind {
            ChannelKind::OneMsg(settings) => Some(settings),
            ChannelKind::Http(_) | ChannelKind::Smtp(_) => None,
        }
    }

    pub fn address(&self) -> RecipientAddress {
        match self.kind {
            ChannelKind::OneMsg(_) => RecipientAddress::Phone,
            ChannelKind::Http(ref settings) => settings.address(),
            ChannelKind::Smtp(_) => RecipientAddress::Email,
        }
    }

    /// Whether the provider says later what became of a message. Where it does not, its acceptance is
    /// the last that it reports.
    pub fn tells_delivery(&self) -> bool {
        matches!(self.kind, ChannelKind::OneMsg(_))
    }

    /// Whether it is WhatsApp: its templates must be approved, its opt-outs hold.
    pub fn is_whatsapp(&self) -> bool {
        matches!(self.kind, ChannelKind::OneMsg(_))
    }

    /// Every file that it names.
    pub fn files_mut(&mut self) -> Vec<&mut PathBuf> {
        match &mut self.kind {
            ChannelKind::OneMsg(settings) => vec![&mut settings.token_file],
            ChannelKind::Http(settings) => settings.header_files.values_mut().collect(),
            ChannelKind::Smtp(settings) => {
                settings.password_file.iter_mut().chain(&mut settings.ca_file).collect()
            }
        }
    }

    /// Files that hold secrets, with the setting that names each.
    pub fn secret_files(&self) -> Vec<(String, &PathBuf)> {
        match &self.kind {
            ChannelKind::OneMsg(settings) => vec![("token_file".to_owned(), &settings.token_file)],
            ChannelKind::Http(settings) => {
                let files = settings.header_files.iter();
                files.map(|(name, file)| (format!("header_files.{name}"), file)).collect()
            }
            ChannelKind::Smtp(settings) => {
                let file = settings.password_file.iter();
                file.map(|file| ("password_file".to_owned(), file)).collect()
            }
        }
    }
}
