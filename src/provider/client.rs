//! The client of a channel, whatever its provider: one message goes in, one answer comes out.

use std::path::PathBuf;

use reqwest::RequestBuilder;

use crate::config::secret::{self, SecretError};
use crate::config::{Channel, ChannelKind, Config};
use crate::domain::message::attempt::{Answer, AttemptId, TemplateMessage};
use crate::provider::message_body::MessageBodyError;
use crate::provider::onemsg::client;
use crate::provider::{http_gateway, smtp};

/// Why a channel cannot be used at all. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{setting}")]
    Secret { setting: String, source: SecretError },
    #[error(transparent)]
    OneMsg(#[from] client::OneMsgClientError),
    #[error(transparent)]
    Letter(#[from] MessageBodyError),
    #[error("{setting}: {why}")]
    Setting { setting: String, why: String },
    #[error("{setting}: could not read \"{}\"", path.display())]
    File { setting: String, path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Transport(#[from] crate::provider::transport::TransportError),
}

/// A client of one channel. Cheap to clone.
#[derive(Clone)]
pub enum ProviderClient {
    OneMsg(client::OneMsgClient),
    Http(http_gateway::HttpGateway),
    Smtp(smtp::SmtpClient),
}

impl ProviderClient {
    /// Reads the secrets of the channel and prepares its connections; asks nobody.
    pub fn new(channel: &Channel, config: &Config) -> Result<ProviderClient, ClientError> {
        Ok(match &channel.kind {
            ChannelKind::OneMsg(settings) => {
                let token = secret("token_file", &settings.token_file)?;
                ProviderClient::OneMsg(client::OneMsgClient::new(channel, settings, token)?)
            }
            ChannelKind::Http(settings) => {
                ProviderClient::Http(http_gateway::HttpGateway::new(channel, settings, config)?)
            }
            ChannelKind::Smtp(settings) => {
                ProviderClient::Smtp(smtp::SmtpClient::new(channel, settings, config)?)
            }
        })
    }

    /// Sends one message. Every outcome is an answer.
    pub async fn send(&self, id: AttemptId, message: &TemplateMessage) -> Answer {
        match self.prepare(id, message) {
            Ok(ready) => ready.post().await,
            Err(answer) => answer,
        }
    }

    /// Does all the same but for the last step: what is ready to be posted is not posted.
    pub fn rehearse(&self, id: AttemptId, message: &TemplateMessage) -> Answer {
        match self.prepare(id, message) {
            Ok(_) => Answer::dry_run(),
            Err(answer) => answer,
        }
    }

    /// The message as it goes out; an answer, if it cannot.
    fn prepare(&self, id: AttemptId, message: &TemplateMessage) -> Result<Ready<'_>, Answer> {
        Ok(match self {
            ProviderClient::OneMsg(client) => Ready::OneMsg(client, client.request(message)?),
            ProviderClient::Http(client) => Ready::Http(client, client.request(id, message)?),
            ProviderClient::Smtp(client) => Ready::Smtp(client, client.mail(id, message)?),
        })
    }
}

/// A message as it goes out.
enum Ready<'a> {
    OneMsg(&'a client::OneMsgClient, RequestBuilder),
    Http(&'a http_gateway::HttpGateway, http_gateway::Request),
    Smtp(&'a smtp::SmtpClient, smtp::Mail),
}

impl Ready<'_> {
    async fn post(self) -> Answer {
        match self {
            Ready::OneMsg(client, request) => client.post_template(request).await,
            Ready::Http(client, request) => client.post(request).await,
            Ready::Smtp(client, mail) => client.post(mail).await,
        }
    }
}

/// A secret of the channel.
pub fn secret(setting: &str, path: &std::path::Path) -> Result<secrecy::SecretString, ClientError> {
    secret::secret(path)
        .map_err(|source| ClientError::Secret { setting: setting.to_owned(), source })
}

/// Name of one attempt towards gateways and mail servers: never the same for two attempts, nor for two
/// environments.
pub fn attempt_name(environment: &str, id: AttemptId) -> String {
    format!("{environment}-{}-{}", id.message_id, id.number)
}
