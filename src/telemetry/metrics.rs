//! Metrics: what each of them is, in one place, and where they are kept. Counting is done where things
//! happen; while nothing is kept it costs nothing. docs/METRICS.md has the same tables, which a test compares.
//!
//! No label holds anything of a person: only names of the configuration and words of ours.

use std::sync::OnceLock;

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper ends of the classes of histograms. Few, as each channel has its own.
const REQUEST_SECONDS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
const WAKE_SECONDS: [f64; 8] = [0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 30.0];
const TOLD_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 1_800.0, 14_400.0];

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
            Unit::CountPerSecond => "number a second",
            _ => "seconds",
        }
    }
}

/// Counted by this process since its start.
pub const OF_THE_PROCESS: [Metric; 30] = [
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
    Metric {
        name: "rowbell_wake_to_claim_seconds",
        kind: MetricKind::Histogram,
        labels: &[],
        unit: Unit::Seconds,
        meaning: "from a ring of the doorbell to the commit of the claim that it woke",
    },
    Metric {
        name: "rowbell_change_to_accepted_seconds",
        kind: MetricKind::Histogram,
        labels: &["channel"],
        unit: Unit::Seconds,
        meaning: "from the last change that a message tells to the provider's yes: quiet_period, quiet hours and waits for limits included",
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
    counter("rowbell_replies_total", &[], "answers of customers that quote a message"),
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
        "rowbell_webhook_deliveries_total",
        &["status"],
        "what the webhook answered: 200 stored, 400 not understood, 404 a wrong secret, 413 too long, 503 the database is away",
    ),
    counter(
        "rowbell_outgoing_webhook_attempts_total",
        &["endpoint", "result"],
        "outcomes posted to an endpoint of the application: delivered, failed (tried again), given_up",
    ),
    counter(
        "rowbell_alerts_total",
        &["result"],
        "what the operator was to be told: told, failed (tried again)",
    ),
    gauge(
        "rowbell_rate_per_second",
        &["channel"],
        Unit::CountPerSecond,
        "messages a second that the channel may send now: its rate, or less where the provider asked to slow down",
    ),
    gauge(
        "rowbell_slots",
        &["channel", "state"],
        Unit::Count,
        "messages that the daemon has leased at once: taken, and how many more there is room for (free)",
    ),
    gauge(
        "rowbell_pool_connections",
        &["state"],
        Unit::Count,
        "connections to the database: used, idle; and how many stages wait for one (awaited)",
    ),
    gauge(
        "rowbell_build_info",
        &["version"],
        Unit::Count,
        "1; the version of the daemon is its label",
    ),
    counter(
        "rowbell_reloads_total",
        &["result"],
        "configurations that were read again: taken, refused (the one before stays)",
    ),
    counter(
        "rowbell_stage_failures_total",
        &["stage"],
        "steps of a stage that could not be done, as a rule because of the database; they are done again",
    ),
];

/// Asked of the database when somebody looks; the same from every daemon on it.
pub const OF_THE_DATABASE: [Metric; 10] = [
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
        "messages in the queue: due, waiting (due later), held (for a person; every row of a held bulk edit counts), leased (being sent), unconfirmed",
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
        "rowbell_outgoing_webhook_pending",
        &["endpoint"],
        Unit::Count,
        "outcomes that an endpoint of the application has not taken yet",
    ),
    gauge(
        "rowbell_outgoing_webhook_oldest_age_seconds",
        &["endpoint"],
        Unit::Seconds,
        "how long the first of them has waited",
    ),
    gauge(
        "rowbell_outgoing_webhook_stopped",
        &["endpoint"],
        Unit::Count,
        "1 while an endpoint rests after failures, or is gone (410)",
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
        let recorder = builder().unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        // Nobody else in this program brings a recorder; if a test does, that one counts.
        let _ = metrics::set_global_recorder(recorder);
        OF_THE_PROCESS.iter().for_each(describe);
        handle
    })
    .clone()
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(full("rowbell_request_seconds"), &REQUEST_SECONDS)?
        .set_buckets_for_metric(full("rowbell_wake_to_claim_seconds"), &WAKE_SECONDS)?
        .set_buckets_for_metric(full("rowbell_change_to_accepted_seconds"), &TOLD_SECONDS)
}

fn full(name: &str) -> Matcher {
    Matcher::Full(name.to_owned())
}

fn describe(metric: &Metric) {
    let Metric { name, unit, meaning, .. } = *metric;
    match metric.kind {
        MetricKind::Counter => metrics::describe_counter!(name, unit, meaning),
        MetricKind::Gauge => metrics::describe_gauge!(name, unit, meaning),
        MetricKind::Histogram => metrics::describe_histogram!(name, unit, meaning),
    }
}
