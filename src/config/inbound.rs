//! `[inbound]` and `[webhook]`: what reaches us from the provider.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use crate::config::units;

/// What customers may write to be left alone, by language tag.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
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
    pub networks: Vec<IpNet>,
    /// Bytes of one request body.
    pub body_limit: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// One delivery, from its first byte to our answer.
    #[serde(deserialize_with = "units::duration")]
    pub timeout: Duration,
    /// How often the provider is asked whether it still posts to us.
    #[serde(deserialize_with = "units::duration")]
    pub look_every: Duration,
}
