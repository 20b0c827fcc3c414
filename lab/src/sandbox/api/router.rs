//! Routes every request: `sendTemplate` straight from hyper, everything else through the axum router. Also the
//! manner in which a faulty answer leaves.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response};
use axum::response::IntoResponse;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, Incoming};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::time::{Sleep, sleep};

use crate::sandbox::api::reply::{Manner, Reply};
use crate::sandbox::api::request::{form_to_json, query_pairs};
use crate::sandbox::api::send::{Address, send};
use crate::sandbox::state::faults::Struck;
use crate::sandbox::state::state::Shared;
use crate::sandbox::webhook_sender::WebhookSender;

/// The most bytes of a request body.
const MAX_BODY: usize = 1_048_576;
/// Time for the bytes before a broken end to leave.
const BREAK_AFTER: Duration = Duration::from_millis(20);
/// How many bytes of a slow answer come at a time.
const SLOW_STEP: usize = 8;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped on purpose")]
pub struct Dropped;

/// Answers every request of every connection.
pub struct ApiServer {
    pub shared: Arc<Shared>,
    pub webhook_sender: Arc<WebhookSender>,
    pub router: TowerToHyperService<Router>,
}

impl ApiServer {
    pub async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Dropped> {
        let path = request.uri().path().trim_start_matches('/');
        match path.split_once('/') {
            Some(("sandbox", _)) => Ok(self.route(request).await),
            Some((_, "sendTemplate")) if request.method() == Method::POST => {
                let reply = self.send_template(request).await?;
                self.perform(reply).await
            }
            Some((_, method)) => {
                let method = method.to_owned();
                self.read(&method, request).await
            }
            None => Ok(Reply::unknown_method(path).into_response()),
        }
    }

    async fn send_template(&self, request: Request<Incoming>) -> Result<Reply, Dropped> {
        let (parts, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let Ok(body) = body.map(|whole| whole.to_bytes()) else {
            return Ok(Reply::error(413, "Request body is too large"));
        };
        let path = parts.uri.path().trim_start_matches('/');
        let address = Address {
            channel: path.split('/').next().unwrap_or_default(),
            query_token: parts.uri.query().and_then(token_in_query),
            bearer: bearer(&parts.headers),
        };
        match is_form(&parts.headers) {
            true => Ok(send(&self.shared, &address, &form_to_json(&body))),
            false => Ok(send(&self.shared, &address, &body)),
        }
    }

    /// Any other method of the API, under the faults that are set for it.
    async fn read(
        &self,
        method: &str,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Dropped> {
        let struck = {
            let state = &mut *self.shared.lock();
            match state.faults.rules.is_empty() {
                true => Struck::default(),
                false => state.faults.strike(method, None, &mut state.rng),
            }
        };
        let Some(fault) = struck.fault else {
            sleep_if(struck.delay).await;
            return Ok(self.route(request).await);
        };
        let right = match fault.accepts() {
            true => whole(self.route(request).await).await,
            false => Reply::json(200, "{}"),
        };
        let reply = fault.spoil(right);
        self.shared.update(|state| state.counts.faults += 1);
        self.perform(Reply { delay: struck.delay, ..reply }).await
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        let Ok(response) = self.router.call(request.map(Body::new)).await;
        response
    }

    /// Sends an answer in its manner.
    async fn perform(&self, reply: Reply) -> Result<Response<Body>, Dropped> {
        if let Some(number) = reply.early {
            self.webhook_sender.post_early(number).await;
        }
        sleep_if(reply.delay).await;
        let (length, manner) = (reply.body.len(), reply.manner);
        let body = match manner {
            Manner::Whole => return Ok(reply.into_response()),
            Manner::Drop => return Err(Dropped),
            Manner::Hang => std::future::pending().await,
            Manner::Half => Dribble::half(reply.body.slice(..length / 2)),
            Manner::Slow(pause) => Dribble::slow(reply.body.clone(), pause),
        };
        let mut response = reply.into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Body::new(body);
        Ok(response)
    }
}

async fn sleep_if(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}

/// The answer of the router as a reply that a fault can spoil.
async fn whole(response: Response<Body>) -> Reply {
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    Reply::json(status.as_u16(), body.unwrap_or_default())
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The token of `?token=…`.
pub fn token_in_query(query: &str) -> Option<Cow<'_, str>> {
    let plain = query.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    if !plain.contains(['%', '+']) {
        return Some(Cow::Borrowed(plain));
    }
    let mut pairs = query_pairs(query).into_iter();
    pairs.find_map(|(name, token)| (name == "token").then_some(Cow::Owned(token)))
}

/// The token of `Authorization: Bearer …`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

pub fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"))
}

/// A body that comes in steps, and perhaps breaks off.
struct Dribble {
    rest: Bytes,
    step: usize,
    pause: Duration,
    breaks: bool,
    sleep: Pin<Box<Sleep>>,
}

impl Dribble {
    fn half(first: Bytes) -> Dribble {
        Dribble {
            step: first.len().max(1),
            rest: first,
            pause: BREAK_AFTER,
            breaks: true,
            sleep: Box::pin(sleep(Duration::ZERO)),
        }
    }

    fn slow(whole: Bytes, pause: Duration) -> Dribble {
        Dribble {
            rest: whole,
            step: SLOW_STEP,
            pause,
            breaks: false,
            sleep: Box::pin(sleep(pause)),
        }
    }
}

impl hyper::body::Body for Dribble {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        if self.rest.is_empty() && !self.breaks {
            return Poll::Ready(None);
        }
        std::task::ready!(self.sleep.as_mut().poll(context));
        if self.rest.is_empty() {
            return Poll::Ready(Some(Err(Dropped)));
        }
        let step = self.step.min(self.rest.len());
        let next = self.rest.split_to(step);
        self.sleep = Box::pin(sleep(self.pause));
        Poll::Ready(Some(Ok(Frame::data(next))))
    }
}
