//! The server of the page: its routes, its limits, and what every answer says to the browser.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use crate::http::server::{HttpServer, Listener};
use crate::http::sockets::Sockets;
use crate::page::answer::PageError;
use crate::page::figures::figures;
use crate::page::holds::{acts, holds};
use crate::page::messages::{find, story};
use crate::page::now::now;
use crate::page::session::{SessionKeys, SessionKeysError};
use crate::page::state::PageState;
use crate::page::watches::watches;
use crate::page::{assets, login};
use crate::pipeline::context::context::Context;
use crate::postgres::connection::pool::DatabaseError;

/// Connections at once. A browser has up to six, one of which waits for news.
const MAX_CONNECTIONS: usize = 128;

/// Bytes of a form.
const BODY_LIMIT: usize = 64 * 1024;

/// How long an answer may take until its first byte, the form with it.
const ANSWER: Duration = Duration::from_secs(20);

/// How long to finish an answer when the daemon stops.
const LAST_ANSWER: Duration = Duration::from_secs(2);

/// What a browser may do with a page of ours: load our own style and script, and nothing else from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageStartError {
    #[error(transparent)]
    Keys(#[from] SessionKeysError),
    #[error("could not prepare the database connections of the page")]
    Pool(#[from] DatabaseError),
    #[error("could not listen on page.listen = \"{address}\"")]
    Listen { address: String, source: std::io::Error },
}

impl PageStartError {
    /// Whether a restart cannot help, because a setting is wrong.
    pub fn is_configuration(&self) -> bool {
        matches!(self, PageStartError::Keys(_))
    }
}

/// The page, bound and not served yet.
pub struct PageServer {
    state: Arc<PageState>,
    listener: Listener,
}

impl PageServer {
    /// Reads the tokens and binds the address; None: there is no page.
    pub fn bind(
        context: &Arc<Context>,
        sockets: &mut Sockets,
    ) -> Result<Option<PageServer>, PageStartError> {
        let settings = &context.config.page;
        if settings.listen.is_empty() {
            return Ok(None);
        }
        let keys = SessionKeys::read(settings)?;
        let state = Arc::new(PageState::new(context.clone(), keys)?);
        let address = settings.listen.clone();
        let listener = sockets.bind("page.listen", &address);
        let listener = listener.map_err(|source| PageStartError::Listen { address, source })?;
        tracing::info!(address = listener.address(), "the page can be opened");
        Ok(Some(PageServer { state, listener }))
    }

    /// Where it listens, on the network.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix(_) => None,
        }
    }

    /// Serves until it is stopped.
    pub async fn run(self, stop: CancellationToken) {
        let server = HttpServer {
            networks: self.state.config().page.networks.clone(),
            max_connections: MAX_CONNECTIONS,
            timeout: LAST_ANSWER,
        };
        let news = self.state.stop.clone();
        let end_of_news = async {
            stop.cancelled().await;
            news.cancel();
        };
        let served = server.serve(self.listener, router(self.state), stop.clone());
        tokio::join!(served, end_of_news);
    }
}

fn router(state: Arc<PageState>) -> Router {
    Router::new()
        .route("/", get(login::first))
        .route("/login", get(login::asked).post(login::logged_in))
        .route("/logout", post(login::logged_out))
        .route("/now", get(now::view))
        .route("/now/live", get(now::live))
        .route("/messages", get(find::view).post(find::by_phone))
        .route("/message/{id}", get(story::view))
        .route("/message/{id}/shown", post(story::unmasked))
        .route("/message/{id}/settled", post(acts::settled))
        .route("/holds", get(holds::view))
        .route("/hold/{id}/approved", post(acts::approve))
        .route("/hold/{id}/discarded", post(acts::discard))
        .route("/figures", get(figures::view))
        .route("/figures/{file}", get(figures::csv))
        .route("/watches", get(watches::view))
        .route("/watches/{watch}", get(watches::one).post(watches::previewed))
        .route("/assets/{name}", get(assets::asset))
        .fallback(|| async { PageError::NotFound })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn(within_its_time))
        .layer(middleware::from_fn(guarded))
        .with_state(state)
}

async fn within_its_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// What every answer says besides.
async fn guarded(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    let always: [(HeaderName, &'static str); 7] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What stands on a page is personal: no browser and no proxy keeps it.
    if headers.get(CACHE_CONTROL).is_none_or(|kept| kept != assets::KEPT) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    answer
}
