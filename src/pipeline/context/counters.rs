//! What this process does, counted for /metrics. The counters are looked up once, at the start, so that
//! counting is an addition; and all begin at 0, so that the first event of a kind is seen as a rise.
//! What they mean stands in `telemetry/metrics.rs`.
//!
//! Labels are names of the configuration and words of ours: what is about any other watch or channel is
//! not counted. Things are counted when they are done, some of them before their transaction ends: what the
//! database then takes back is done, and counted, again. The figures of record are those of `rowbell_report`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use metrics::{Counter, Histogram};
use strum::VariantArray as _;

use crate::config::{Config, Watch};
use crate::domain::message::attempt::{AttemptResult, ErrorClass};
use crate::domain::message::receipt::{EvidenceSource, Receipt, ReceiptStatus};
use crate::domain::message::state::State;

/// The states that tell how a message fared.
const TOLD: [&str; 6] = ["sent", "delivered", "read", "unconfirmed", "failed", "skipped"];

/// Counters by two words.
type ByWords = BTreeMap<(&'static str, &'static str), Counter>;

/// What the stages count.
pub struct Counters {
    /// Changes that were claimed.
    changes: Counter,
    /// From a ring of the doorbell to the commit of the claim that it woke.
    pub wake_to_claim_seconds: Histogram,
    claimed_at: Mutex<Option<Timestamp>>,
    /// By watch, channel and state.
    messages: BTreeMap<String, BTreeMap<String, BTreeMap<&'static str, Counter>>>,
    /// By channel, source and status.
    receipts: BTreeMap<String, ByWords>,
}

impl Counters {
    pub fn new(config: &Config) -> Counters {
        config.watch.keys().for_each(|watch| drop(storms(watch)));
        config.channel.keys().for_each(|channel| seldom(channel));
        drop(unread_deliveries());
        STATUSES.into_iter().for_each(|status| drop(webhook_delivery(status)));
        let messages =
            config.watch.iter().map(|(name, watch)| (name.clone(), by_channel(name, watch)));
        // Of the others nothing is heard: a 0 would look like a channel that has fallen silent.
        let heard = config.channel.iter().filter(|(_, channel)| channel.tells_delivery());
        let receipts = heard.map(|(channel, _)| (channel.clone(), receipts(channel)));
        Counters {
            changes: metrics::counter!("rowbell_changes_claimed_total"),
            wake_to_claim_seconds: metrics::histogram!("rowbell_wake_to_claim_seconds"),
            claimed_at: Mutex::default(),
            messages: messages.collect(),
            receipts: receipts.collect(),
        }
    }

    /// Changes were claimed at this moment of the steady clock.
    pub fn claimed(&self, changes: usize, at: Timestamp) {
        self.changes.increment(changes as u64);
        *self.claimed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// When changes were claimed last here, by the steady clock.
    pub fn claimed_at(&self) -> Option<Timestamp> {
        *self.claimed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message of the watch came to a state on the channel.
    pub fn became(&self, watch: &str, channel: &str, state: State) {
        let channels = self.messages.get(watch);
        let states = channels.and_then(|channels| channels.get(channel));
        if let Some(counter) = states.and_then(|states| states.get(state.into_str())) {
            counter.increment(1);
        }
    }

    /// Receipts came in on the channel.
    pub fn received(&self, channel: &str, source: EvidenceSource, receipts: &[Receipt]) {
        let Some(counters) = self.receipts.get(channel) else { return };
        for status in ReceiptStatus::VARIANTS {
            let count = receipts.iter().filter(|receipt| receipt.status == *status).count();
            if let Some(counter) = counters.get(&(source.into_str(), status.into_str())) {
                counter.increment(count as u64);
            }
        }
    }
}

/// What one channel counts.
pub struct ChannelCounters {
    /// By result, and by class of error where it was refused.
    attempts: ByWords,
    /// From the first byte of a request to the last one of its answer.
    pub request_seconds: Histogram,
    /// From the last change that a message tells to the provider's yes.
    pub change_to_accepted_seconds: Histogram,
}

impl ChannelCounters {
    pub fn new(channel: &str) -> ChannelCounters {
        let refused = ErrorClass::VARIANTS.iter().map(|class| ("refused", class.into_str()));
        let others =
            ["accepted", "not_sent", "unreached", "unknown", "dry_run"].map(|result| (result, ""));
        let counter = |words: (&'static str, &'static str)| {
            let (result, class) = words;
            let channel = channel.to_owned();
            (
                words,
                metrics::counter!("rowbell_attempts_total", "channel" => channel, "result" => result, "class" => class),
            )
        };
        ChannelCounters {
            attempts: others.into_iter().chain(refused).map(counter).collect(),
            request_seconds: metrics::histogram!("rowbell_request_seconds", "channel" => channel.to_owned()),
            change_to_accepted_seconds: metrics::histogram!("rowbell_change_to_accepted_seconds", "channel" => channel.to_owned()),
        }
    }

    /// What became of an attempt is written.
    pub fn attempted(&self, result: &AttemptResult) {
        let class = match result {
            AttemptResult::Refused { class, .. } => class.into_str(),
            _ => "",
        };
        if let Some(counter) = self.attempts.get(&(result.into_str(), class)) {
            counter.increment(1);
        }
    }
}

/// Storms of a watch.
pub fn storms(watch: &str) -> Counter {
    metrics::counter!("rowbell_storms_total", "watch" => watch.to_owned())
}

/// Stops of a channel (`kind` is channel) or of one of its templates (template).
pub fn circuits_opened(channel: &str, kind: &'static str) -> Counter {
    metrics::counter!("rowbell_circuit_opened_total", "channel" => channel.to_owned(), "kind" => kind)
}

/// How often the provider of a channel asked to slow down.
pub fn slowed_down(channel: &str) -> Counter {
    metrics::counter!("rowbell_rate_reductions_total", "channel" => channel.to_owned())
}

/// Webhook deliveries of which something was not understood.
pub fn unread_deliveries() -> Counter {
    metrics::counter!("rowbell_webhook_unread_total")
}

/// Webhook deliveries by what was answered.
pub fn webhook_delivery(status: u16) -> Counter {
    metrics::counter!("rowbell_webhook_deliveries_total", "status" => status.to_string())
}

/// What the webhook answers, as a rule.
const STATUSES: [u16; 5] = [200, 400, 404, 413, 503];

/// What seldom happens on a channel is looked up when it does.
fn seldom(channel: &str) {
    drop((circuits_opened(channel, "channel"), circuits_opened(channel, "template")));
    drop(slowed_down(channel));
}

/// The counters of a watch on each channel that its messages may take.
fn by_channel(name: &str, watch: &Watch) -> BTreeMap<String, BTreeMap<&'static str, Counter>> {
    let fallbacks = watch.fallback.iter().map(|fallback| &fallback.channel);
    let channels: BTreeSet<&String> = fallbacks.chain([&watch.channel]).collect();
    let counter = |channel: &String, state| {
        let (watch, channel) = (name.to_owned(), channel.clone());
        metrics::counter!("rowbell_messages_total", "watch" => watch, "channel" => channel, "state" => state)
    };
    let by_state =
        |channel| TOLD.into_iter().map(|state| (state, counter(channel, state))).collect();
    channels.into_iter().map(|channel| (channel.clone(), by_state(channel))).collect()
}

fn receipts(channel: &str) -> ByWords {
    let statuses = ReceiptStatus::VARIANTS.iter().map(|status| status.into_str());
    let words = EvidenceSource::VARIANTS
        .iter()
        .flat_map(|source| statuses.clone().map(|status| (source.into_str(), status)));
    let counter = |(source, status): (&'static str, &'static str)| {
        let channel = channel.to_owned();
        let counter = metrics::counter!("rowbell_receipts_total", "channel" => channel, "source" => source, "status" => status);
        ((source, status), counter)
    };
    words.map(counter).collect()
}
