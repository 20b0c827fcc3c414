//! Metrics: what each of them is, in one place, and where they are kept. Counting is done where things
//! happen; while nothing is kept it costs nothing. docs/METRICS.md has the same tables, which a test compares.
//!
//! No label holds anything of a person: only names of the configuration and words of ours.

use std::sync::OnceLock;

use metrics::Unit;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// Upper ends of the classes of `rowbell_request_seconds`. Few, as each channel has its own.
const REQUEST_SECONDS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

/// What a metric is.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    pub labels: &'static [&'static str],
    pub unit: Unit,
    pub meaning: &'static str,
}

impl Metric {
    /// The unit as people say it.
    pub fn unit_in_words(&self) -> &'static str {
        match self.unit {
            Unit::Count => "number",
            Unit::Percent => "0 to 1",
            _ => "seconds",
        }
    }
}

/// Counted by this process since its start.
pub const OF_THE_PROCESS: [Metric; 19] = [
    counter("rowbell_changes_claimed_total", &[], "changes taken to be folded into messages"),
    counter(
        "rowbell_messages_total",
        &["watch", "channel", "state"],
        "messages that came to this state: sent, delivered, read, unconfirmed, failed or skipped",
    ),
    counter(
        "rowbell_attempts_total",
        &["channel", "result", "class"],
        "answers to requests: accepted, refused (class says what a sender does about it: retry, slow, later, recipient, content, template, channel), not_sent (given back before the request), unreached, unknown, dry_run",
    ),
    Metric {
        name: "rowbell_request_seconds",
        kind: MetricKind::Histogram,
        labels: &["channel"],
        unit: Unit::Seconds,
        meaning: "how long the provider took to answer a request to send",
    },
    counter(
        "rowbell_receipts_total",
        &["channel", "source", "status"],
        "receipts as they came, repetitions included: by webhook, poll or timeout; sent, delivered, read, failed or other",
    ),
    counter(
        "rowbell_circuit_opened_total",
        &["channel", "kind"],
        "how often errors stopped the channel, or one of its templates",
    ),
    counter(
        "rowbell_rate_reductions_total",
        &["channel"],
        "how often the provider asked to slow down",
    ),
    gauge(
        "rowbell_watch_faults",
        &["watch"],
        Unit::Count,
        "what of the watch cannot be used now: the watch itself, whose changes wait, or lookups, whose columns are told without names",
    ),
    counter("rowbell_storms_total", &["watch"], "bulk edits whose messages were held"),
    counter("rowbell_opt_out_requests_total", &["request"], "customers who wrote stop or start"),
    counter(
        "rowbell_polling_answers_total",
        &["channel", "kind"],
        "answers of the provider about what became of a message",
    ),
    gauge(
        "rowbell_poll_lag_seconds",
        &["channel"],
        Unit::Seconds,
        "how far the questions about what became of messages are behind",
    ),
    counter(
        "rowbell_reconcile_lookups_total",
        &["channel", "method", "found"],
        "looks for evidence about requests without answer, and what they found",
    ),
    counter(
        "rowbell_webhook_unread_total",
        &[],
        "webhook deliveries of which something was not understood: receipts and opt-outs in them are lost",
    ),
    counter(
        "rowbell_webhook_registration_changes_total",
        &["channel", "state"],
        "how often it changed whether the provider posts to our webhook",
    ),
    gauge(
        "rowbell_listening",
        &[],
        Unit::Count,
        "1 while the doorbell is heard; 0: connecting, or polling instead",
    ),
    gauge(
        "rowbell_clock_ahead_seconds",
        &[],
        Unit::Seconds,
        "how far the clock of the daemon's host is ahead of the database's, by which rowbell goes; below 0: behind",
    ),
    counter(
        "rowbell_listener_reconnects_total",
        &[],
        "how often the connection that hears the doorbell was lost and made anew",
    ),
    counter(
        "rowbell_stage_failures_total",
        &["stage"],
        "steps of a stage that could not be done, as a rule because of the database; they are done again",
    ),
];

/// Asked of the database when somebody looks; the same from every daemon on it.
pub const OF_THE_DATABASE: [Metric; 7] = [
    gauge(
        "rowbell_database_up",
        &[],
        Unit::Count,
        "1 if the database answered for this page; 0: it did not in time, and the other metrics of this table are missing",
    ),
    gauge(
        "rowbell_queue_messages",
        &["channel", "state"],
        Unit::Count,
        "messages in the queue: due, waiting (due later), held (for a person), leased (being sent), unconfirmed",
    ),
    gauge(
        "rowbell_oldest_due_age_seconds",
        &["channel"],
        Unit::Seconds,
        "how long the first of the messages has been due that are due, or that errors have put off",
    ),
    gauge(
        "rowbell_oldest_lease_age_seconds",
        &["channel"],
        Unit::Seconds,
        "how long the first of the leased messages has been leased",
    ),
    gauge(
        "rowbell_oldest_change_age_seconds",
        &[],
        Unit::Seconds,
        "how long ago the first change was made that is not claimed yet",
    ),
    gauge(
        "rowbell_circuits_open",
        &["channel", "kind"],
        Unit::Count,
        "1 while errors have stopped the channel; how many of its templates they have stopped",
    ),
    gauge(
        "rowbell_notification_queue_usage_ratio",
        &[],
        Unit::Percent,
        "how full PostgreSQL's queue of notifications is; once it is full, transactions that ring fail",
    ),
];

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, unit: Unit::Count, meaning }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    unit: Unit,
    meaning: &'static str,
) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, unit, meaning }
}

/// Keeps what is counted from now on. There is one place for it in a process: who asks again gets the same.
pub fn keep() -> PrometheusHandle {
    static KEPT: OnceLock<PrometheusHandle> = OnceLock::new();
    KEPT.get_or_init(|| {
        // Refused only without classes.
        let builder = PrometheusBuilder::new().set_buckets(&REQUEST_SECONDS).unwrap_or_default();
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Nobody else in this program brings a recorder; if a test does, that one counts.
        let _ = metrics::set_global_recorder(recorder);
        OF_THE_PROCESS.iter().for_each(describe);
        handle
    })
    .clone()
}

fn describe(metric: &Metric) {
    let Metric { name, unit, meaning, .. } = *metric;
    match metric.kind {
        MetricKind::Counter => metrics::describe_counter!(name, unit, meaning),
        MetricKind::Gauge => metrics::describe_gauge!(name, unit, meaning),
        MetricKind::Histogram => metrics::describe_histogram!(name, unit, meaning),
    }
}
