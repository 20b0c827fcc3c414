//! `[channel.X]`: one sending identity at a provider. Which settings it has depends on its provider.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::config::Config;
pub use crate::config::gateway::{Answers, Http, HttpMethod, Smtp, SmtpTls};
use crate::config::raw_channel::RawChannel;
use crate::config::units::Rate;

/// One sending identity at a provider.
#[derive(Clone, Debug)]
pub struct Channel {
    pub kind: ChannelKind,
    /// Messages a second that this channel may send.
    pub rate: Rate,
    pub limits: Limits,
    /// Requests in flight at once.
    pub concurrency: usize,
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// Nothing is sent on it: messages are recorded instead.
    pub dry_run: bool,
}

/// Whom a channel may write to, and how often; see `provider/limiter.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One phone gets one message in this time, once its burst is used up.
    pub pair_every: Duration,
    /// Messages to one phone that may be sent at once; 0: any number.
    pub pair_burst: u32,
    /// Different phones within 24 hours; 0: any number.
    pub daily_recipients: u32,
}

impl Limits {
    /// WhatsApp bears 45 messages at once to one phone, and then one in 6 s; some of it is left to others
    /// who write through the same number.
    pub const WHATSAPP: Limits =
        Limits { pair_every: Duration::from_secs(6), pair_burst: 20, daily_recipients: 0 };

    /// Nobody is written to too often.
    pub const fn none() -> Limits {
        Limits { pair_burst: 0, ..Limits::WHATSAPP }
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
#[derive(Clone, Debug)]
pub struct OneMsg {
    pub channel_id: String,
    /// File that holds the token. A relative path is looked for in `$CREDENTIALS_DIRECTORY` first.
    pub token_file: PathBuf,
    pub base_url: String,
    pub auth: AuthPlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ProviderKind {
    #[serde(rename = "1msg")]
    OneMsg,
    #[serde(rename = "http")]
    Http,
    #[serde(rename = "smtp")]
    Smtp,
}

impl ProviderKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ProviderKind::OneMsg => "1msg",
            ProviderKind::Http => "http",
            ProviderKind::Smtp => "smtp",
        }
    }
}

/// Where the token goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthPlace {
    #[default]
    Header,
    Query,
}

/// By what a channel knows a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    Phone,
    Email,
    /// Whichever of the two the recipient has.
    Any,
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
    pub fn provider(&self) -> ProviderKind {
        match self.kind {
            ChannelKind::OneMsg(_) => ProviderKind::OneMsg,
            ChannelKind::Http(_) => ProviderKind::Http,
            ChannelKind::Smtp(_) => ProviderKind::Smtp,
        }
    }

    /// The settings of a WhatsApp number at 1MSG, if it is one.
    pub fn one_msg(&self) -> Option<&OneMsg> {
        match &self.kind {
            ChannelKind::OneMsg(settings) => Some(settings),
            ChannelKind::Http(_) | ChannelKind::Smtp(_) => None,
        }
    }

    pub fn address(&self) -> Address {
        match self.kind {
            ChannelKind::OneMsg(_) => Address::Phone,
            ChannelKind::Http(ref settings) => settings.address(),
            ChannelKind::Smtp(_) => Address::Email,
        }
    }

    /// Whether the provider says later what became of a message. Where it does not, what it accepted is
    /// the last that we hear.
    pub fn tells_delivery(&self) -> bool {
        matches!(self.kind, ChannelKind::OneMsg(_))
    }

    /// Whether it is WhatsApp: its templates must be approved, its opt-outs hold.
    pub fn is_whatsapp(&self) -> bool {
        matches!(self.kind, ChannelKind::OneMsg(_))
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

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Channel, D::Error> {
        let raw = RawChannel::deserialize(from)?;
        if let Some((setting, owner)) = raw.foreign() {
            return Err(D::Error::custom(format!(
                "setting `{setting}` belongs to channels with provider = \"{}\"; this one has provider = \"{}\"",
                owner.as_str(),
                raw.provider.as_str()
            )));
        }
        raw.into_channel().map_err(D::Error::missing_field)
    }
}
