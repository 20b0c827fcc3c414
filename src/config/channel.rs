//! `[channel.X]`: one sending identity at a provider.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::units;

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
