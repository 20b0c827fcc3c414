//! Posts to the webhook from outside, as the provider would: to the address that it posts to, and to the
//! daemon itself. Only `rowbell webhook test` does this.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::config::Channel;
use crate::provider::transport::{self, TransportError};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// The HTTP status, and the answer, bounded.
    Answered(u16, String),
    /// Nobody was reached: name, address, port or certificate.
    Unreached(String),
    /// Somebody was reached, and said nothing, or not in time.
    Silent(String),
}

/// Bytes of an answer that are read.
const MAX_SHOWN: usize = 64 * 1024;

/// A client with the timeouts that the channel has for its provider.
pub struct WebhookProbe(reqwest::Client);

impl WebhookProbe {
    pub fn new(channel: &Channel) -> Result<WebhookProbe, TransportError> {
        Ok(WebhookProbe(transport::http(channel, HeaderMap::new())?))
    }

    /// Posts a delivery.
    pub async fn post(&self, url: &str, body: &Value) -> ProbeResult {
        let request = self.0.post(url).header(CONTENT_TYPE, "application/json");
        probe_result(request.body(body.to_string())).await
    }

    /// Asks whether the address knows the secret, without a delivery.
    pub async fn challenge(&self, url: &str, secret: &str, challenge: &str) -> ProbeResult {
        let query =
            [("hub.mode", "subscribe"), ("hub.verify_token", secret), ("hub.challenge", challenge)];
        probe_result(self.0.get(url).query(&query)).await
    }
}

async fn probe_result(request: reqwest::RequestBuilder) -> ProbeResult {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() || error.is_builder() => {
            return ProbeResult::Unreached(innermost(&error));
        }
        Err(error) => return ProbeResult::Silent(innermost(&error)),
    };
    let status = response.status().as_u16();
    let body = transport::body(response, MAX_SHOWN).await;
    let text = body.map(|body| String::from_utf8_lossy(&body.bytes).into_owned());
    ProbeResult::Answered(status, text.unwrap_or_default().chars().take(200).collect())
}

/// The first cause, which says what happened: the others say who was told of it.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
