//! What monitoring systems ask: whether the daemon lives (/livez), whether it does its work (/readyz, see `readiness.rs`), and
//! GET /metrics: what this process has counted, and what the database knows at that moment.
//!
//! The database is asked only when somebody looks, by one query at a time that it gives up after two
//! seconds. While it is away, what was counted is shown all the same, and `rowbell_database_up` is 0.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use deadpool_postgres::{Client, Timeouts};
use metrics_exporter_prometheus::PrometheusHandle;
use metrics_exporter_prometheus::formatting::{
    sanitize_label_value, write_help_line, write_type_line,
};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::http::readiness::{self, Known, Readiness};
use crate::http::server::{HttpServer, Listener};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{StageError, chain};
use crate::postgres::operations::figures::{self, Figure, Scope};
use crate::telemetry::metrics::{Metric, OF_THE_DATABASE};

/// Connections at once: monitoring systems come in ones and twos.
const MAX_CONNECTIONS: usize = 16;

/// How long to finish an answer when the daemon stops.
const LAST_ANSWER: Duration = Duration::from_secs(2);

/// How long a connection may be waited for, and the answer. Monitoring systems wait for ten seconds.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(3);

/// How often what was measured is put into its classes, if nobody looks.
const UPKEEP: Duration = Duration::from_secs(5);

/// What `text/plain` of Prometheus is called.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The endpoint for monitoring systems.
pub struct MetricsEndpoint {
    context: Arc<Context>,
    readiness: Readiness,
    /// What whoever asks has to bring along.
    token: Option<SecretString>,
    counted: PrometheusHandle,
    turn: Mutex<()>,
}

impl MetricsEndpoint {
    pub fn new(
        context: Arc<Context>,
        readiness: Readiness,
        token: Option<SecretString>,
        counted: PrometheusHandle,
    ) -> MetricsEndpoint {
        MetricsEndpoint { context, readiness, token, counted, turn: Mutex::new(()) }
    }

    /// Serves until it is stopped.
    pub async fn run(self, listener: Listener, stop: CancellationToken) {
        let server = HttpServer {
            networks: Vec::new(),
            max_connections: MAX_CONNECTIONS,
            timeout: LAST_ANSWER,
        };
        let counted = self.counted.clone();
        let page = Arc::new(self);
        let router = Router::new()
            .route("/metrics", get(shown))
            .route("/readyz", get(ready))
            .route_layer(middleware::from_fn_with_state(page.clone(), with_token))
            // Says nothing of anything: whoever restarts what hangs need not have the token.
            .route("/livez", get(|| async { "alive\n" }))
            .with_state(page);
        let upkeep = async {
            loop {
                tokio::time::sleep(UPKEEP).await;
                counted.run_upkeep();
            }
        };
        tokio::select! {
            () = server.serve(listener, router, stop) => {}
            () = upkeep => {}
        }
    }

    async fn text(&self) -> String {
        let figures = self.look().await;
        self.measure();
        self.counted.render() + &as_text(figures.as_deref())
    }

    /// What is measured when somebody looks.
    fn measure(&self) {
        metrics::gauge!("rowbell_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        for (channel, channel_sender) in &self.context.channel_senders {
            let rate = channel_sender.limiter.rate_per_second();
            metrics::gauge!("rowbell_rate_per_second", "channel" => channel.clone()).set(rate);
            let slots =
                [("taken", channel_sender.in_flight()), ("free", channel_sender.free_slots())];
            for (state, slots) in slots {
                metrics::gauge!("rowbell_slots", "channel" => channel.clone(), "state" => state)
                    .set(slots as f64);
            }
        }
        let pool = self.context.pool.status();
        let used = pool.size.saturating_sub(pool.available);
        for (state, connections) in
            [("used", used), ("idle", pool.available), ("awaited", pool.waiting)]
        {
            metrics::gauge!("rowbell_pool_connections", "state" => state).set(connections as f64);
        }
    }

    /// What readiness is judged by; None: the database did not answer in time.
    async fn known(&self) -> Known {
        let _turn = self.turn.lock().await;
        let asked = self.ask(async |client, scope| figures::readiness(client, scope).await).await;
        asked.unwrap_or_else(|error| {
            tracing::debug!(error = %chain(&error), "the database could not be asked for /readyz");
            None
        })
    }

    /// What the database knows; None: it did not answer in time.
    async fn look(&self) -> Option<Vec<Figure>> {
        let _turn = self.turn.lock().await;
        match self.ask(async |client, scope| figures::read(client, scope).await).await {
            Ok(figures) => figures,
            Err(error) => {
                // The stages say loudly that the database is away.
                tracing::debug!(error = %chain(&error), "the figures of /metrics could not be read");
                None
            }
        }
    }

    async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut Client, Scope<'_>) -> Result<T, tokio_postgres::Error>,
    ) -> Result<Option<T>, StageError> {
        let config = &self.context.config;
        let channels: Vec<&str> = config.channel.keys().map(String::as_str).collect();
        let (watches, watch_channels) = config.channels_of_watches();
        let scope = Scope {
            now: self.context.clock.now(),
            channels: &channels,
            watches: &watches,
            watch_channels: &watch_channels,
            lease: config.delivery.lease,
        };
        let timeouts =
            Timeouts { wait: Some(CONNECT), create: Some(CONNECT), recycle: Some(CONNECT) };
        let mut client = self.context.pool.timeout_get(&timeouts).await?;
        match tokio::time::timeout(ANSWER, question(&mut client, scope)).await {
            Ok(answer) => Ok(Some(answer?)),
            Err(_) => {
                // Whoever got this connection next would wait for our answer first.
                drop(Client::take(client));
                Ok(None)
            }
        }
    }
}

async fn shown(State(page): State<Arc<MetricsEndpoint>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT)], page.text().await)
}

async fn ready(State(page): State<Arc<MetricsEndpoint>>) -> (StatusCode, String) {
    let checks = page.readiness.checks(page.known().await);
    let status = match checks.iter().all(|check| check.fault.is_none()) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, readiness::as_text(&checks))
}

/// Lets through who brings the token along, as `Authorization: Bearer …`, where there is one.
async fn with_token(
    State(page): State<Arc<MetricsEndpoint>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(token) = &page.token else { return next.run(request).await };
    let brought = request.headers().get(AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
    let brought = brought.strip_prefix(b"Bearer ").unwrap_or_default();
    match brought.ct_eq(token.expose_secret().as_bytes()).into() {
        true => next.run(request).await,
        false => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// The figures of the database in the form of Prometheus.
fn as_text(figures: Option<&[Figure]>) -> String {
    let up = Figure {
        metric: "rowbell_database_up".to_owned(),
        channel: None,
        word: None,
        value: f64::from(u8::from(figures.is_some())),
    };
    let mut text = String::new();
    for metric in &OF_THE_DATABASE {
        let figures = figures.unwrap_or_default().iter().chain([&up]);
        let mut of_it = figures.filter(|figure| figure.metric == metric.name).peekable();
        if of_it.peek().is_none() {
            continue;
        }
        write_help_line(&mut text, metric.name, None, None, metric.meaning);
        write_type_line(&mut text, metric.name, None, None, metric.kind.into_str());
        of_it.for_each(|figure| line(&mut text, metric, figure));
        text.push('\n');
    }
    text
}

fn line(text: &mut String, metric: &Metric, figure: &Figure) {
    let values = [&figure.channel, &figure.word].map(|value| value.as_deref().unwrap_or_default());
    let labels: Vec<String> = metric
        .labels
        .iter()
        .zip(values)
        .map(|(label, value)| format!("{label}=\"{}\"", sanitize_label_value(value)))
        .collect();
    let labels =
        if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    // Writing to a text does not fail. What a clock that lags makes of an age is no age.
    let _ = writeln!(text, "{}{labels} {}", metric.name, figure.value.max(0.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(metric: &str, channel: Option<&str>, word: Option<&str>, value: f64) -> Figure {
        let [channel, word] = [channel, word].map(|value| value.map(str::to_owned));
        Figure { metric: metric.to_owned(), channel, word, value }
    }

    #[test]
    fn figures_of_the_database_are_written_as_prometheus_reads_them() {
        let figures = [
            figure("rowbell_queue_messages", Some("main"), Some("due"), 3.0),
            figure("rowbell_queue_messages", Some("ma\"in"), Some("held"), 0.0),
            figure("rowbell_oldest_due_age_seconds", Some("main"), None, 1.25),
            figure("rowbell_oldest_change_age_seconds", None, None, -0.004),
        ];
        insta::assert_snapshot!(as_text(Some(&figures)));
        insta::assert_snapshot!(as_text(None));
    }
}
