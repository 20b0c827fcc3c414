//! HTTP as every provider over HTTP is spoken to: one pooled client for each channel, bounded answers,
//! and what it means when there is none.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response};

use crate::config::Channel;
use crate::domain::message::attempt::Answer;
use crate::error_chain::chain;
use crate::provider::onemsg::webhook_payload::bounded;
use crate::provider::retry_after::retry_after;

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 * 1024;

/// Why nothing can be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("could not prepare the HTTP client")]
    Http(#[source] reqwest::Error),
    #[error("TLS is not available")]
    Tls(#[from] rustls::Error),
}

/// An answer as it came.
pub struct HttpReply {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Vec<u8>,
}

/// A client with these headers on every request.
pub fn http(channel: &Channel, headers: HeaderMap) -> Result<reqwest::Client, TransportError> {
    client(headers, channel.connect_timeout, channel.timeout, channel.concurrency)
}

/// A client with these headers, timeouts, and so many connections that rest.
pub fn client(
    headers: HeaderMap,
    connect_timeout: Duration,
    timeout: Duration,
    concurrency: usize,
) -> Result<reqwest::Client, TransportError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls()?)
        .default_headers(headers)
        .user_agent(concat!("rowbell/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(concurrency)
        .tcp_nodelay(true)
        .build()
        .map_err(TransportError::Http)
}

fn tls() -> Result<rustls::ClientConfig, rustls::Error> {
    use rustls_platform_verifier::ConfigVerifierExt as _;
    use_ring();
    rustls::ClientConfig::with_platform_verifier()
}

/// The one implementation of cryptography in this process.
pub fn use_ring() {
    // Set once for the process; a second time it is already there, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Sends a request that must not be sent twice. Without an answer: whether it can have arrived.
/// `redact` takes secrets out of a text.
pub async fn ask(
    request: RequestBuilder,
    redact: impl Fn(&str) -> String,
) -> Result<HttpReply, Answer> {
    match request.send().await {
        Ok(response) => read(response, &redact).await,
        Err(error) if error.is_connect() || error.is_builder() => {
            Err(Answer::unreached(describe(error, &redact)))
        }
        Err(error) => Err(Answer::unknown(None, describe(error, &redact))),
    }
}

async fn read(response: Response, redact: impl Fn(&str) -> String) -> Result<HttpReply, Answer> {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    match body(response, MAX_ANSWER).await {
        Ok(Body { bytes, .. }) => Ok(HttpReply { status, retry_after, body: bytes }),
        Err(error) => Err(Answer::unknown(Some(status), describe(error, &redact))),
    }
}

/// The beginning of an answer's body.
pub struct Body {
    pub bytes: Vec<u8>,
    /// There is no more of it.
    pub is_whole: bool,
}

/// Reads a body up to so many bytes: whatever the other side sends, no more of it is held.
pub async fn body(mut response: Response, most: usize) -> Result<Body, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > most {
            return Ok(Body { bytes, is_whole: false });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body { bytes, is_whole: true })
}

/// An error of reqwest without its URL, which may carry a token.
pub fn describe(error: reqwest::Error, redact: impl Fn(&str) -> String) -> String {
    bounded(&redact(&chain(&error.without_url())), 500)
}
