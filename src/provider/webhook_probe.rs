//! Knocking at the webhook from outside, as the provider would: the address that it posts to, and the
//! daemon itself. Only `rowbell webhook test` does this.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::config::Channel;
use crate::provider::transport::{self, TransportError};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Knock {
    /// The HTTP status, and the answer, bounded.
    Answered(u16, String),
    /// Nobody was reached: name, address, port or certificate.
    Unreached(String),
    /// Somebody was reached, and said nothing, or not in time.
    Silent(String),
}

/// Who knocks, with the patience that the channel has with its provider.
pub struct Knocker(reqwest::Client);

impl Knocker {
    pub fn new(channel: &Channel) -> Result<Knocker, TransportError> {
        Ok(Knocker(transport::http(channel, HeaderMap::new())?))
    }

    /// Posts a delivery.
    pub async fn post(&self, url: &str, body: &Value) -> Knock {
        let request = self.0.post(url).header(CONTENT_TYPE, "application/json");
        knock(request.body(body.to_string())).await
    }

    /// Asks whether the address knows the secret, without a delivery.
    pub async fn challenge(&self, url: &str, secret: &str, challenge: &str) -> Knock {
        let query =
            [("hub.mode", "subscribe"), ("hub.verify_token", secret), ("hub.challenge", challenge)];
        knock(self.0.get(url).query(&query)).await
    }
}

async fn knock(request: reqwest::RequestBuilder) -> Knock {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() || error.is_builder() => {
            return Knock::Unreached(innermost(&error));
        }
        Err(error) => return Knock::Silent(innermost(&error)),
    };
    let status = response.status().as_u16();
    let text = response.text().await.unwrap_or_default();
    Knock::Answered(status, text.chars().take(200).collect())
}

/// The first cause, which says what happened: the others say who was told of it.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
