//! receive: the webhook.
//!
//! Takes what the provider posts; stores the receipts in it and moves the messages that they speak
//! of in one transaction; answers 200 only then, and 503 when the database is away, so that the
//! provider tries again. Receipts for ids that no attempt knows yet are kept and joined when the id
//! arrives.
//!
//! If the process dies before the answer, the provider posts again: a receipt stored twice changes
//! nothing. Not promised: that receipts arrive in order, once, or at all.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::evidence::take_in;
use super::site::Site;
use super::stage::{StageError, chain};
use super::witness::{self, Kind};
use crate::domain::receipt::Source;
use crate::provider::webhook::{self, Delivered};

/// The longest that one delivery may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The webhook server.
pub struct Receive {
    pub site: Arc<Site>,
    /// Last part of the path; who knows it may post.
    pub secret: String,
}

impl Receive {
    /// Serves until told to stop.
    pub async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let limit = self.site.config.webhook.body_limit;
        let router = Router::new()
            .route("/webhook/{secret}", post(posted))
            .layer(DefaultBodyLimit::max(limit))
            .with_state(Arc::new(self));
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "the webhook stopped");
        }
    }

    /// Stores what one delivery says, and moves the messages that it speaks of.
    pub async fn step(&self, delivered: &Delivered) -> Result<(), StageError> {
        if delivered.receipts.is_empty() {
            return Ok(());
        }
        let channel = self.channel_of(delivered.instance_id.as_deref());
        let mut client = self.site.pool.get().await?;
        let tx = client.transaction().await?;
        take_in(&tx, &self.site, channel, &delivered.receipts, Source::Webhook).await?;
        tx.commit().await?;
        witness::heard(&client, &self.site, channel, Kind::Webhook).await
    }

    /// The configured channel of an instance id; the only channel when there is but one.
    fn channel_of(&self, instance_id: Option<&str>) -> &str {
        let channels = &self.site.config.channel;
        let numbers = || channels.iter().filter_map(|(name, c)| Some((name, c.one_msg()?)));
        let named = numbers().find(|(_, c)| Some(c.channel_id.as_str()) == instance_id);
        let only = if numbers().count() == 1 { numbers().next() } else { None };
        named.or(only).map_or("", |(name, _)| name)
    }
}

async fn posted(
    State(receive): State<Arc<Receive>>,
    Path(secret): Path<String>,
    body: Bytes,
) -> StatusCode {
    if !bool::from(secret.as_bytes().ct_eq(receive.secret.as_bytes())) {
        return StatusCode::NOT_FOUND;
    }
    let delivered = match webhook::parse(&body) {
        Ok(delivered) => delivered,
        Err(error) => {
            tracing::warn!(%error, bytes = body.len(), "a webhook delivery could not be read");
            return StatusCode::BAD_REQUEST;
        }
    };
    match tokio::time::timeout(TIMEOUT, receive.step(&delivered)).await {
        Ok(Ok(())) => StatusCode::OK,
        Ok(Err(error)) => {
            tracing::warn!(error = %chain(&error), "receipts could not be stored; the provider will post again");
            StatusCode::SERVICE_UNAVAILABLE
        }
        Err(_) => {
            tracing::warn!("receipts could not be stored in time; the provider will post again");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}
