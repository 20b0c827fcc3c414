//! The HTTP servers of a daemon: the webhook, and the metrics endpoint for monitoring systems. Both are bound before the
//! daemon says that it is ready, so that an address in use is an error at the start.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, secret};
use crate::http::metrics::MetricsEndpoint;
use crate::pipeline::context::context::Context;
use crate::pipeline::receive::webhook::Receive;
use crate::telemetry::metrics;

/// Why an HTTP server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("could not use webhook.secret_file")]
    WebhookSecret(#[source] secret::SecretError),
    #[error("webhook.listen is set, but webhook.secret_file is not: anybody could post receipts")]
    WebhookWithoutSecret,
    #[error("could not listen on {setting} = \"{address}\"")]
    Listen { setting: &'static str, address: String, source: std::io::Error },
}

/// The servers of one daemon, bound and not served yet.
pub struct Listeners {
    webhook: Option<(Receive, TcpListener)>,
    metrics: Option<(MetricsEndpoint, TcpListener)>,
}

impl Listeners {
    pub async fn bind(context: &Arc<Context>) -> Result<Listeners, ListenError> {
        Ok(Listeners {
            webhook: webhook(context).await?,
            metrics: metrics_endpoint(context).await?,
        })
    }

    /// Serves until it is stopped.
    pub fn open(self, takers: &mut JoinSet<()>, stop: &CancellationToken) {
        if let Some((receive, listener)) = self.webhook {
            takers.spawn(receive.run(listener, stop.clone()));
        }
        if let Some((endpoint, listener)) = self.metrics {
            takers.spawn(endpoint.run(listener, stop.clone()));
        }
    }
}

async fn webhook(context: &Arc<Context>) -> Result<Option<(Receive, TcpListener)>, ListenError> {
    let address = &context.config.webhook.listen;
    let Some(secret) = webhook_secret(&context.config)? else {
        return Ok(None);
    };
    let listener = bind("webhook.listen", address).await?;
    Ok(Some((Receive::new(context.clone(), secret), listener)))
}

async fn bind(setting: &'static str, address: &str) -> Result<TcpListener, ListenError> {
    let error = |source| ListenError::Listen { setting, address: address.to_owned(), source };
    TcpListener::bind(address).await.map_err(error)
}

/// The secret of the webhook, if there is one.
pub fn webhook_secret(config: &Config) -> Result<Option<String>, ListenError> {
    use secrecy::ExposeSecret as _;
    if config.webhook.listen.is_empty() {
        return Ok(None);
    }
    let file = config.webhook.secret_file.as_ref().ok_or(ListenError::WebhookWithoutSecret)?;
    let secret = secret::webhook_secret(file).map_err(ListenError::WebhookSecret)?;
    Ok(Some(secret.expose_secret().to_owned()))
}

async fn metrics_endpoint(
    context: &Arc<Context>,
) -> Result<Option<(MetricsEndpoint, TcpListener)>, ListenError> {
    let address = &context.config.metrics.listen;
    if address.is_empty() {
        return Ok(None);
    }
    let listener = bind("metrics.listen", address).await?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "metrics can be read at /metrics");
    }
    let endpoint = MetricsEndpoint::new(context.clone(), metrics::keep());
    Ok(Some((endpoint, listener)))
}

/// What is counted is kept from here on, if somebody may look at it. Before the stages are built, as they look up
/// their counters once.
pub fn keep_counts(config: &Config) {
    if !config.metrics.listen.is_empty() {
        metrics::keep();
    }
}
