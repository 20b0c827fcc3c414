//! The client of a channel, whatever its provider: one message goes in, one answer comes out.

use reqwest::RequestBuilder;

use crate::config::{Channel, ChannelKind, Config};
use crate::domain::message::attempt::{Answer, AttemptId};
use crate::domain::message::outgoing::TemplateMessage;
use crate::provider::client_error::{ClientError, secret};
use crate::provider::onemsg::client;
use crate::provider::{http_gateway, smtp};

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
