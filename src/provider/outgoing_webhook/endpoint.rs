//! One endpoint of the application: a signed request goes out, and what its answer means.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{StatusCode, Url};

use crate::config::{OutgoingWebhook, secret};
use crate::domain::limit::endpoint_circuit::DeliveryResult;
use crate::provider::client_error::ClientError;
use crate::provider::outgoing_webhook::signature::{SigningKey, signatures};
use crate::provider::retry_after::retry_after;
use crate::provider::transport;

/// Bytes of an answer that are read, and for how long, so that the connection can be used again. Nothing of it is kept.
const MAX_ANSWER: usize = 4_096;
const LONGEST_ANSWER: Duration = Duration::from_secs(1);

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest pause that an endpoint is believed to ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// A client of one endpoint. Cheap to clone; neither its keys nor its URL are ever printed.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    url: Url,
    keys: Vec<SigningKey>,
}

/// What an endpoint answered, or that it did not.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointAnswer {
    pub status: Option<u16>,
    pub result: DeliveryResult,
}

impl Endpoint {
    /// Reads the keys; asks nobody.
    pub fn new(settings: &OutgoingWebhook) -> Result<Endpoint, ClientError> {
        let wrong =
            |setting: &str, why: String| ClientError::Setting { setting: setting.to_owned(), why };
        let url = Url::parse(&settings.url).map_err(|error| wrong("url", error.to_string()))?;
        let mut keys = Vec::new();
        for (setting, file) in settings.secret_files() {
            let key = secret::signing_key(file)
                .map_err(|source| ClientError::Secret { setting: setting.to_owned(), source })?;
            keys.extend(SigningKey::new(&key));
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let http = transport::client(headers, CONNECT, settings.timeout, settings.concurrency)?;
        Ok(Endpoint(Arc::new(Inner { http, url, keys })))
    }

    /// Posts one event. Every outcome is an answer.
    pub async fn post(&self, webhook_id: &str, timestamp: i64, body: String) -> EndpointAnswer {
        let Inner { http, url, keys } = &*self.0;
        let request = http
            .post(url.clone())
            .header("webhook-id", webhook_id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures(keys, webhook_id, timestamp, &body))
            .body(body);
        match request.send().await {
            Ok(response) => {
                let status = response.status();
                let asked = retry_after(response.headers()).map(|asked| asked.min(LONGEST_PAUSE));
                // What it says beside its status means nothing to us.
                let read = transport::body(response, MAX_ANSWER);
                let _ = tokio::time::timeout(LONGEST_ANSWER, read).await;
                EndpointAnswer { status: Some(status.as_u16()), result: meaning(status, asked) }
            }
            Err(error) => EndpointAnswer {
                status: None,
                result: failed(transport::describe(error, str::to_owned), None),
            },
        }
    }

    /// Whether anything answers there; posts nothing.
    pub async fn knock(&self) -> Result<StatusCode, String> {
        let asked = self.0.http.head(self.0.url.clone()).send().await;
        asked
            .map(|response| response.status())
            .map_err(|error| transport::describe(error, str::to_owned))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoint(…)")
    }
}

fn failed(why: String, retry_after: Option<Duration>) -> DeliveryResult {
    DeliveryResult::Failed { why, retry_after }
}

/// What the specification says of answers. `Retry-After` counts where it may come: 429 and 5xx.
fn meaning(status: StatusCode, asked: Option<Duration>) -> DeliveryResult {
    let words = |what: &str| format!("HTTP {}: {what}", status.as_u16());
    match status {
        status if status.is_success() => DeliveryResult::Taken,
        StatusCode::GONE => DeliveryResult::Gone,
        StatusCode::TOO_MANY_REQUESTS => failed(words("it was asked too often"), asked),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            failed(words("it does not accept the request; does it have the same secret?"), None)
        }
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            failed(words("nothing takes events at this URL"), None)
        }
        status if status.is_redirection() => {
            failed(words("it is elsewhere, and redirects are not followed: set its URL"), None)
        }
        status if status.is_server_error() => failed(words("it failed"), asked),
        _ => failed(words("it did not take the event"), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_means_what_the_specification_says() {
        let minute = Some(Duration::from_secs(60));
        let meaning = |code| meaning(StatusCode::from_u16(code).unwrap_or_default(), minute);
        for taken in [200, 201, 202, 204, 299] {
            assert_eq!(meaning(taken), DeliveryResult::Taken);
        }
        assert_eq!(meaning(410), DeliveryResult::Gone);
        for (code, asked) in
            [(429, minute), (503, minute), (500, minute), (301, None), (400, None), (404, None)]
        {
            let (why, retry_after) = match meaning(code) {
                DeliveryResult::Failed { why, retry_after } => (why, retry_after),
                other => (format!("{other:?}"), None),
            };
            assert!(why.starts_with(&format!("HTTP {code}: ")) && retry_after == asked, "{why}");
        }
    }
}
