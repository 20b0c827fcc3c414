//! The client of a channel, whatever its provider: one message goes in, one answer comes out.

use std::path::PathBuf;

use super::letter::LetterError;
use super::{http, onemsg, smtp};
use crate::config::load::{self, SecretError};
use crate::config::{Channel, ChannelKind, Config};
use crate::domain::attempt::{Answer, AttemptId, TemplateMessage};

/// Why a channel cannot be used at all. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{setting}")]
    Secret { setting: String, source: SecretError },
    #[error(transparent)]
    OneMsg(#[from] onemsg::ClientError),
    #[error(transparent)]
    Letter(#[from] LetterError),
    #[error("{setting}: {why}")]
    Setting { setting: String, why: String },
    #[error("{setting}: could not read \"{}\"", path.display())]
    File { setting: String, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Transport(#[from] super::transport::TransportError),
}

/// A client of one channel. Cheap to clone.
#[derive(Clone)]
pub enum Client {
    OneMsg(onemsg::Client),
    Http(http::Client),
    Smtp(smtp::Client),
}

impl Client {
    /// Reads the secrets of the channel and prepares its connections; asks nobody.
    pub fn new(channel: &Channel, config: &Config) -> Result<Client, ClientError> {
        Ok(match &channel.kind {
            ChannelKind::OneMsg(settings) => {
                let token = secret("token_file", &settings.token_file)?;
                Client::OneMsg(onemsg::Client::new(channel, settings, token)?)
            }
            ChannelKind::Http(settings) => {
                Client::Http(http::Client::new(channel, settings, config)?)
            }
            ChannelKind::Smtp(settings) => {
                Client::Smtp(smtp::Client::new(channel, settings, config)?)
            }
        })
    }

    /// Sends one message. Every outcome is an answer.
    pub async fn send(&self, id: AttemptId, message: &TemplateMessage) -> Answer {
        match self {
            Client::OneMsg(client) => client.send_template(message).await,
            Client::Http(client) => client.send(id, message).await,
            Client::Smtp(client) => client.send(id, message).await,
        }
    }
}

/// A secret of the channel.
pub fn secret(setting: &str, path: &std::path::Path) -> Result<secrecy::SecretString, ClientError> {
    load::secret(path).map_err(|source| ClientError::Secret { setting: setting.to_owned(), source })
}

/// Name of one attempt towards gateways and mail servers: never the same for two attempts, nor for two
/// environments.
pub fn attempt_name(environment: &str, id: AttemptId) -> String {
    format!("{environment}-{}-{}", id.message_id, id.number)
}
