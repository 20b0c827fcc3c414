//! The HTTP servers of a daemon: the webhook, and the metrics endpoint for monitoring systems. Both are bound before the
//! daemon says that it is ready, so that an address in use is an error at the start.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, secret};
use crate::http::metrics::MetricsEndpoint;
use crate::http::readiness::Readiness;
use crate::http::server::Listener;
use crate::http::sockets::Sockets;
use crate::pipeline::context::context::Context;
use crate::pipeline::receive::webhook::Receive;
use crate::postgres::connection::listener::Listening;
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
    #[error("could not use metrics.token_file")]
    MetricsToken(#[source] secret::SecretError),
}

/// The servers of one daemon, bound and not served yet.
pub struct Listeners {
    webhook: Option<(Receive, Listener)>,
    metrics: Option<(MetricsEndpoint, Listener)>,
}

impl Listeners {
    pub fn bind(
        context: &Arc<Context>,
        listening: Listening,
        sockets: &mut Sockets,
    ) -> Result<Listeners, ListenError> {
        Ok(Listeners {
            webhook: webhook(context, sockets)?,
            metrics: metrics_endpoint(context, listening, sockets)?,
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

fn webhook(
    context: &Arc<Context>,
    sockets: &mut Sockets,
) -> Result<Option<(Receive, Listener)>, ListenError> {
    let Some(secret) = webhook_secret(&context.config)? else {
        return Ok(None);
    };
    let listener = bind("webhook.listen", &context.config.webhook.listen, sockets)?;
    Ok(Some((Receive::new(context.clone(), secret), listener)))
}

fn bind(
    setting: &'static str,
    address: &str,
    sockets: &mut Sockets,
) -> Result<Listener, ListenError> {
    let error = |source| ListenError::Listen { setting, address: address.to_owned(), source };
    sockets.bind(setting, address).map_err(error)
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

fn metrics_endpoint(
    context: &Arc<Context>,
    listening: Listening,
    sockets: &mut Sockets,
) -> Result<Option<(MetricsEndpoint, Listener)>, ListenError> {
    let settings = &context.config.metrics;
    if settings.listen.is_empty() {
        return Ok(None);
    }
    let token = settings.token_file.as_deref().map(secret::secret).transpose();
    let token = token.map_err(ListenError::MetricsToken)?;
    let listener = bind("metrics.listen", &settings.listen, sockets)?;
    tracing::info!(address = %listener.address(), "metrics can be read at /metrics");
    let readiness = Readiness::new(context.clone(), listening);
    Ok(Some((MetricsEndpoint::new(context.clone(), readiness, token, metrics::keep()), listener)))
}

/// What is counted is kept from here on, if somebody may look at it. Before the stages are built, as they look up
/// their counters once.
pub fn keep_counts(config: &Config) {
    if !config.metrics.listen.is_empty() {
        metrics::keep();
    }
}
