//! receive: stores what the provider posts to the webhook.
//!
//! Takes what the provider posts; stores the receipts in it, moves the messages that they are about, and
//! takes opt-out and opt-in requests and replies of customers, in one transaction; answers 200 only then, and 503
//! when the database is away, so that the provider tries again. Receipts for ids that no attempt knows
//! yet are kept and joined when the id arrives.
//!
//! If the process dies before the answer, the provider posts again: what is stored twice changes
//! nothing. Not promised: that receipts arrive in order, once, or at all.
//!
//! Memory is bounded by the connections for small bodies, and by `LARGE_AT_ONCE` for large ones. A body
//! is read before it takes a permit, so whoever sends slowly keeps nobody waiting but senders of large
//! bodies, and those no longer than `webhook.timeout`.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::domain::message::receipt::{EvidenceSource, ReceiptSourceKind};
use crate::domain::recipient::opt_out_keywords::OptOutKeywords;
use crate::http::server::{HttpServer, Listener};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::counters;
use crate::pipeline::context::stage::{StageError, loggable};
use crate::pipeline::receive::opt_out_request::take_opt_out_requests;
use crate::pipeline::receive::receipt_source;
use crate::pipeline::receive::reply::take_replies;
use crate::pipeline::settle::evidence::take_in;
use crate::postgres::queries;
use crate::provider::onemsg::webhook_payload::{self, Delivered, Unread};

/// Deliveries that are taken apart and stored at once.
const AT_ONCE: usize = 4;

/// Bodies above this size are large: only so many of them are held at once. What a provider posts has
/// a few hundred bytes, a hundred receipts at once some twenty thousand.
const SMALL: usize = 16 * 1024;
const LARGE_AT_ONCE: usize = 8;

/// Characters of a challenge that are repeated; Meta's have ten digits.
const MAX_CHALLENGE: usize = 200;

/// The webhook server.
pub struct Receive {
    context: Arc<Context>,
    /// Last part of the path; who knows it may post.
    secret: String,
    words: OptOutKeywords,
    at_once: Semaphore,
    large: Semaphore,
}

/// A body, and the right to hold it, if it is large.
struct Held<'a> {
    bytes: Vec<u8>,
    _large: Option<SemaphorePermit<'a>>,
}

/// Why there is no body.
enum UnreadBody {
    TooLong,
    BrokeOff,
}

impl Receive {
    pub fn new(context: Arc<Context>, secret: String) -> Receive {
        let inbound = &context.config.inbound;
        let words = OptOutKeywords::new(&inbound.opt_out, &inbound.opt_in);
        let (at_once, large) = (Semaphore::new(AT_ONCE), Semaphore::new(LARGE_AT_ONCE));
        Receive { context, secret, words, at_once, large }
    }

    /// Serves until told to stop.
    pub async fn run(self, listener: Listener, stop: CancellationToken) {
        let settings = &self.context.config.webhook;
        let server = HttpServer {
            networks: settings.networks.clone(),
            max_connections: settings.max_connections,
            timeout: settings.timeout,
        };
        let router = Router::new()
            .route("/webhook/{secret}", get(challenged).post(posted))
            .with_state(Arc::new(self));
        server.serve(listener, router, stop).await;
    }

    /// Stores what one delivery says, and moves the messages that it speaks of.
    pub async fn step(&self, delivered: &Delivered) -> Result<(), StageError> {
        let named = self.channel_of(delivered.instance_id.as_deref());
        let mut unread = delivered.unread.clone();
        if named.is_none() && !delivered.receipts.is_empty() {
            unread.items += delivered.receipts.len();
            unread.fields.insert("instanceId".to_owned());
        }
        if unread.items > 0 {
            self.could_not_read(named, &unread).await?;
        }
        // Receipts of a channel that is not ours are about nobody here; a STOP holds whoever it was written to.
        let receipts = named.map_or(&[][..], |_| &delivered.receipts);
        if receipts.is_empty() && delivered.messages.is_empty() {
            return Ok(());
        }
        let channel = named.unwrap_or("");
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        take_in(&tx, &self.context, channel, receipts, EvidenceSource::Webhook).await?;
        take_opt_out_requests(&tx, &self.context, &self.words, channel, &delivered.messages)
            .await?;
        take_replies(&tx, &self.context, channel, &delivered.messages).await?;
        tx.commit().await?;
        self.context.pulses.moved();
        if delivered.is_test() {
            return Ok(());
        }
        // The receipts are stored: that they came is not worth a second delivery.
        if let Err(error) =
            receipt_source::heard(&client, &self.context, channel, ReceiptSourceKind::Webhook).await
        {
            tracing::warn!(
                error = loggable(&error),
                channel,
                "receipts were stored, but not when the webhook told last"
            );
        }
        Ok(())
    }

    fn knows(&self, secret: &str) -> bool {
        secret.as_bytes().ct_eq(self.secret.as_bytes()).into()
    }

    /// Reads and stores one body.
    async fn take(&self, body: Body) -> StatusCode {
        let limit = self.context.config.webhook.body_limit;
        let body = match self.read(body, limit).await {
            Ok(body) => body,
            Err(UnreadBody::TooLong) => {
                tracing::warn!(limit, "a webhook delivery was longer than webhook.body_limit");
                return StatusCode::PAYLOAD_TOO_LARGE;
            }
            Err(UnreadBody::BrokeOff) => {
                tracing::warn!("a webhook delivery broke off; the provider will post again");
                return StatusCode::BAD_REQUEST;
            }
        };
        let Ok(_permit) = self.at_once.acquire().await else {
            return StatusCode::SERVICE_UNAVAILABLE;
        };
        let delivered = match webhook_payload::parse(&body.bytes) {
            Ok(delivered) => delivered,
            Err(error) => {
                let bytes = body.bytes.len();
                tracing::warn!(%error, bytes, "a webhook delivery could not be read");
                return StatusCode::BAD_REQUEST;
            }
        };
        match self.step(&delivered).await {
            Ok(()) => StatusCode::OK,
            Err(error) => {
                tracing::warn!(
                    error = loggable(&error),
                    "receipts could not be stored; the provider will post again"
                );
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// Reads a body to its end. Whoever is about to become large waits for a place first.
    async fn read(&self, mut body: Body, limit: usize) -> Result<Held<'_>, UnreadBody> {
        if body.size_hint().lower() > limit as u64 {
            return Err(UnreadBody::TooLong);
        }
        let mut held = Held { bytes: Vec::new(), _large: None };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| UnreadBody::BrokeOff)?;
            let Ok(data) = frame.into_data() else { continue };
            let length = held.bytes.len() + data.len();
            if length > limit {
                return Err(UnreadBody::TooLong);
            }
            if length > SMALL && held._large.is_none() {
                // Never closed.
                held._large = self.large.acquire().await.ok();
            }
            held.bytes.extend_from_slice(&data);
        }
        Ok(held)
    }

    /// Says that something was posted that is not understood: in the log, in `status` and as a metric, because receipts
    /// and words of customers may be lost in it.
    async fn could_not_read(&self, named: Option<&str>, unread: &Unread) -> Result<(), StageError> {
        counters::unread_deliveries().increment(1);
        let fields = unread.fields.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let is_foreign = named.is_none();
        let why = match is_foreign {
            true => {
                format!("instanceId is that of no channel that is configured; fields: {fields}")
            }
            false => format!("{} item(s) in the fields: {fields}", unread.items),
        };
        let channels = self.context.config.channel.iter();
        let channels = channels.filter(|(_, channel)| channel.one_msg().is_some());
        for (channel, _) in
            channels.filter(|(name, _)| named.is_none_or(|n| n.is_empty() || n == *name))
        {
            let (kind, now) = (ReceiptSourceKind::Unread, self.context.clock.now());
            if !self.context.receipt_sources.is_due(channel, kind, now) {
                continue;
            }
            tracing::warn!(
                channel,
                why,
                "a webhook delivery was not understood; receipts and opt-outs in it are lost"
            );
            let client = self.context.pool.get().await?;
            queries::poll::receipt_source_unread(&client, channel, &why, now).await?;
        }
        Ok(())
    }

    /// The configured channel of an instance id; where a delivery names none, the only channel, or none in particular
    /// (empty). None: it names one that is not configured.
    fn channel_of(&self, instance_id: Option<&str>) -> Option<&str> {
        let channels = &self.context.config.channel;
        let mut numbers =
            channels.iter().filter_map(|(name, c)| Some((name.as_str(), c.one_msg()?)));
        match instance_id {
            Some(id) => numbers
                .find(|(_, channel)| is_instance(&channel.channel_id, id))
                .map(|(name, _)| name),
            None => match (numbers.next(), numbers.next()) {
                (Some((only, _)), None) => Some(only),
                _ => Some(""),
            },
        }
    }
}

/// Whether an instance id is that of a channel, which may be written with `instance` in front. A channel id that is a
/// token of its own (a JWT) does not show its instance.
fn is_instance(channel_id: &str, instance_id: &str) -> bool {
    let bare = |id: &str| id.strip_prefix("instance").unwrap_or(id).to_ascii_lowercase();
    bare(channel_id) == bare(instance_id) || channel_id.split('.').count() == 3
}

/// The secret is looked at before a byte of the body is.
async fn posted(
    State(receive): State<Arc<Receive>>,
    Path(secret): Path<String>,
    body: Body,
) -> StatusCode {
    let status = answered(&receive, &secret, body).await;
    counters::webhook_delivery(status.as_u16()).increment(1);
    status
}

async fn answered(receive: &Receive, secret: &str, body: Body) -> StatusCode {
    if !receive.knows(secret) {
        return StatusCode::NOT_FOUND;
    }
    let timeout = receive.context.config.webhook.timeout;
    tokio::time::timeout(timeout, receive.take(body)).await.unwrap_or_else(|_| {
        tracing::warn!(
            "a webhook delivery took longer than webhook.timeout; the provider will post again"
        );
        StatusCode::SERVICE_UNAVAILABLE
    })
}

#[derive(Deserialize)]
struct Challenge {
    #[serde(rename = "hub.verify_token")]
    token: Option<String>,
    #[serde(rename = "hub.challenge")]
    challenge: Option<String>,
}

/// How Meta asks whether an address is ours, where it posts without 1MSG in between.
async fn challenged(
    State(receive): State<Arc<Receive>>,
    Path(secret): Path<String>,
    Query(asked): Query<Challenge>,
) -> Result<String, StatusCode> {
    if !receive.knows(&secret) {
        return Err(StatusCode::NOT_FOUND);
    }
    match asked.challenge {
        Some(challenge) if asked.token.is_some_and(|token| receive.knows(&token)) => {
            Ok(challenge.chars().take(MAX_CHALLENGE).collect())
        }
        _ => Err(StatusCode::FORBIDDEN),
    }
}
