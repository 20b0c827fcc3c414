//! A channel as it is written: the settings of every kind of provider, told apart afterwards so that a
//! setting of another kind can be named as what it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::config::channel::{AuthPlace, Channel, ChannelKind, Limits, OneMsg, ProviderKind};
use crate::config::gateway::{Answers, Code, Expected, Http, HttpMethod, Smtp, SmtpTls, Statuses};
use crate::config::units::{self, Rate};
use crate::domain::text::localized_text::LocalText;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawChannel {
    pub provider: ProviderKind,
    #[serde(default, deserialize_with = "units::some_rate")]
    rate: Option<Rate>,
    concurrency: Option<usize>,
    #[serde(default, deserialize_with = "units::some_duration")]
    timeout: Option<Duration>,
    #[serde(default, deserialize_with = "units::some_duration")]
    connect_timeout: Option<Duration>,
    #[serde(default)]
    dry_run: bool,
    // 1MSG
    channel_id: Option<String>,
    token_file: Option<PathBuf>,
    base_url: Option<String>,
    auth: Option<AuthPlace>,
    #[serde(default, deserialize_with = "units::some_duration")]
    pair_every: Option<Duration>,
    pair_burst: Option<u32>,
    daily_recipients: Option<u32>,
    // HTTP
    url: Option<String>,
    method: Option<HttpMethod>,
    headers: Option<BTreeMap<String, String>>,
    header_files: Option<BTreeMap<String, PathBuf>>,
    accepted_status: Option<Statuses>,
    accepted_if: Option<BTreeMap<String, Expected>>,
    id: Option<String>,
    error_code: Option<String>,
    error_text: Option<String>,
    retry_on: Option<Vec<Code>>,
    slow_on: Option<Vec<Code>>,
    recipient_on: Option<Vec<Code>>,
    channel_on: Option<Vec<Code>>,
    // SMTP
    host: Option<String>,
    port: Option<u16>,
    tls: Option<SmtpTls>,
    ca_file: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    from: Option<String>,
    subject: Option<LocalText>,
    // HTTP: one text. SMTP: one text, or one for each language.
    body: Option<LocalText>,
}

impl RawChannel {
    /// The first setting that another kind of provider has, with that kind.
    pub fn foreign(&self) -> Option<(&'static str, ProviderKind)> {
        use ProviderKind::{Http, OneMsg, Smtp};
        let set = [
            ("channel_id", OneMsg, self.channel_id.is_some()),
            ("token_file", OneMsg, self.token_file.is_some()),
            ("base_url", OneMsg, self.base_url.is_some()),
            ("auth", OneMsg, self.auth.is_some()),
            ("pair_every", OneMsg, self.pair_every.is_some()),
            ("pair_burst", OneMsg, self.pair_burst.is_some()),
            ("daily_recipients", OneMsg, self.daily_recipients.is_some()),
            ("url", Http, self.url.is_some()),
            ("method", Http, self.method.is_some()),
            ("headers", Http, self.headers.is_some()),
            ("header_files", Http, self.header_files.is_some()),
            ("accepted_status", Http, self.accepted_status.is_some()),
            ("accepted_if", Http, self.accepted_if.is_some()),
            ("id", Http, self.id.is_some()),
            ("error_code", Http, self.error_code.is_some()),
            ("error_text", Http, self.error_text.is_some()),
            ("retry_on", Http, self.retry_on.is_some()),
            ("slow_on", Http, self.slow_on.is_some()),
            ("recipient_on", Http, self.recipient_on.is_some()),
            ("channel_on", Http, self.channel_on.is_some()),
            ("host", Smtp, self.host.is_some()),
            ("port", Smtp, self.port.is_some()),
            ("tls", Smtp, self.tls.is_some()),
            ("ca_file", Smtp, self.ca_file.is_some()),
            ("user", Smtp, self.user.is_some()),
            ("password_file", Smtp, self.password_file.is_some()),
            ("from", Smtp, self.from.is_some()),
            ("subject", Smtp, self.subject.is_some()),
            // Mail has one too.
            ("body", Http, self.body.is_some() && self.provider == OneMsg),
        ];
        set.into_iter()
            .find(|(_, owner, is_set)| *is_set && *owner != self.provider)
            .map(|(name, owner, _)| (name, owner))
    }

    /// The channel; the error is the name of a setting that is missing.
    pub fn into_channel(self) -> Result<Channel, &'static str> {
        let (rate, concurrency) = match self.provider {
            ProviderKind::OneMsg => (80, 64),
            ProviderKind::Http => (10, 16),
            ProviderKind::Smtp => (10, 4),
        };
        Ok(Channel {
            rate: self.rate.unwrap_or(Rate::per_second(rate)),
            limits: self.limits(),
            concurrency: self.concurrency.unwrap_or(concurrency),
            timeout: self.timeout.unwrap_or(Duration::from_secs(30)),
            connect_timeout: self.connect_timeout.unwrap_or(Duration::from_secs(5)),
            dry_run: self.dry_run,
            kind: match self.provider {
                ProviderKind::OneMsg => ChannelKind::OneMsg(self.one_msg()?),
                ProviderKind::Http => ChannelKind::Http(Box::new(self.http()?)),
                ProviderKind::Smtp => ChannelKind::Smtp(Box::new(self.smtp()?)),
            },
        })
    }

    fn limits(&self) -> Limits {
        let default = match self.provider {
            ProviderKind::OneMsg => Limits::WHATSAPP,
            ProviderKind::Http | ProviderKind::Smtp => Limits::none(),
        };
        Limits {
            pair_every: self.pair_every.unwrap_or(default.pair_every),
            pair_burst: self.pair_burst.unwrap_or(default.pair_burst),
            daily_recipients: self.daily_recipients.unwrap_or(default.daily_recipients),
        }
    }

    fn one_msg(self) -> Result<OneMsg, &'static str> {
        Ok(OneMsg {
            channel_id: self.channel_id.ok_or("channel_id")?,
            token_file: self.token_file.ok_or("token_file")?,
            base_url: self.base_url.unwrap_or_else(|| "https://api.1msg.io".to_owned()),
            auth: self.auth.unwrap_or_default(),
        })
    }

    fn http(self) -> Result<Http, &'static str> {
        let default = Answers::default();
        Ok(Http {
            url: self.url.ok_or("url")?,
            method: self.method.unwrap_or_default(),
            headers: self.headers.unwrap_or_default(),
            header_files: self.header_files.unwrap_or_default(),
            body: self.body.ok_or("body")?,
            answers: Answers {
                accepted_status: self.accepted_status.unwrap_or(default.accepted_status),
                accepted_if: self.accepted_if.unwrap_or_default(),
                id: self.id,
                error_code: self.error_code,
                error_text: self.error_text,
                retry_on: self.retry_on.unwrap_or_default(),
                slow_on: self.slow_on.unwrap_or(default.slow_on),
                recipient_on: self.recipient_on.unwrap_or_default(),
                channel_on: self.channel_on.unwrap_or(default.channel_on),
            },
        })
    }

    fn smtp(self) -> Result<Smtp, &'static str> {
        let tls = self.tls.unwrap_or_default();
        Ok(Smtp {
            host: self.host.ok_or("host")?,
            port: self.port.unwrap_or(tls.usual_port()),
            tls,
            ca_file: self.ca_file,
            user: self.user,
            password_file: self.password_file,
            from: self.from.ok_or("from")?,
            subject: self.subject.ok_or("subject")?,
            body: self.body.unwrap_or(LocalText::Same("{{ text }}".to_owned())),
        })
    }
}
