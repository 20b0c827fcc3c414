//! Stores receipts as they came, joins them to the messages that know their ids, and weighs all receipts of a
//! message as a whole, so that their order and their repetition make no difference.
//!
//! Whatever the number of receipts, three statements join them: the messages are locked, all that is
//! known of them is read, and those that move are written at once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use deadpool_postgres::Transaction;

use crate::domain::message::attempt::{ErrorClass, counted_attempts};
use crate::domain::message::disposition::failed_receipt;
use crate::domain::message::evidence::{Evidence, Weighed, weigh};
use crate::domain::message::receipt::{EvidenceSource, Receipt, ReceiptStatus};
use crate::domain::message::state::{Event, State, WaitsFor};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::settle::circuit::{self, Failing, FailureSignal};
use crate::pipeline::settle::fallback_schedule;
use crate::pipeline::settle::rate_feedback::{self, LimitSignal};
use crate::pipeline::settle::transition::transition;
use crate::pipeline::settle::unconfirmed;
use crate::postgres::queries;
use crate::postgres::queries::settle::{KnownMessage, Moved, TransitionDetails};
use crate::provider::error_table::class_of;

/// Stores receipts as they came and moves the messages that they are about.
pub async fn take_in(
    tx: &Transaction<'_>,
    context: &Context,
    channel: &str,
    receipts: &[Receipt],
    source: EvidenceSource,
) -> Result<(), StageError> {
    if receipts.is_empty() {
        return Ok(());
    }
    let now = context.clock.now();
    let stored = queries::settle::receive_store(tx, channel, receipts, source, now).await?;
    context.counts.received(channel, source, receipts);
    context.heard(channel);
    // What is only said again moves nothing.
    let mut new: Vec<&str> = stored.iter().map(String::as_str).collect();
    new.sort_unstable();
    new.dedup();
    if new.is_empty() {
        return Ok(());
    }
    let known = join(tx, context, &new).await?;
    let is_unmatched = |receipt: &&Receipt| {
        let id = receipt.provider_message_id.as_str();
        new.binary_search(&id).is_ok() && !known.contains(id)
    };
    let unmatched = receipts.iter().filter(is_unmatched).collect();
    unconfirmed::note_unmatched(tx, context, channel, unmatched).await
}

/// Joins stored receipts to the messages that know their ids. Returns those ids.
pub async fn join(
    tx: &Transaction<'_>,
    context: &Context,
    provider_ids: &[&str],
) -> Result<HashSet<String>, StageError> {
    let known = queries::settle::settle_known(tx, provider_ids).await?;
    let known_ids = known.iter().map(|k| k.provider_message_id.clone()).collect();
    if known.is_empty() {
        return Ok(known_ids);
    }
    let mut receipts: HashMap<String, Vec<Evidence>> = HashMap::new();
    for evidence in queries::settle::settle_receipts(tx, &known).await? {
        receipts.entry(evidence.provider_message_id.clone()).or_default().push(evidence);
    }
    let mut settled = Vec::new();
    let mut moved = Vec::new();
    let messages = by_message(known, &receipts);
    let unsent = unsent_of_failed(tx, &messages).await?;
    for (message, evidence) in messages {
        let attempt = counted_attempts(message.attempt, message.message_id, &unsent);
        let weighed = weigh(message.snapshot.state, evidence.clone(), |one| {
            event_of(context, one, attempt).0
        });
        if weighed.state == State::Scheduled {
            try_later(tx, context, &message, &evidence, attempt).await?;
            continue;
        }
        if is_news(&message, &weighed) {
            settled.push(row(&message, &weighed));
        }
        if weighed.state != message.snapshot.state {
            moved.push((message, weighed));
        }
    }
    let now = context.clock.now();
    queries::settle::settle_evidence(tx, &settled, now, context.ask(now)).await?;
    if !settled.is_empty() {
        let ids = |moved: &Moved| moved.message_id;
        let told: Vec<i64> = settled.iter().map(ids).collect();
        queries::settle::told_settle(tx, &told, &context.silent_channels).await?;
        let untold: Vec<i64> =
            settled.iter().filter(|moved| moved.state.is_untold()).map(ids).collect();
        if !untold.is_empty() {
            queries::settle::told_assume(tx, &untold).await?;
        }
    }
    for (message, weighed) in &moved {
        let snapshot = &message.snapshot;
        context.counts.became(&snapshot.watch, &snapshot.channel, weighed.state);
        learn_from(tx, context, message, weighed).await?;
    }
    schedule_fallbacks(tx, context, &moved).await?;
    Ok(known_ids)
}

/// What failed may go on to the next channel; what arrived needs no message in its place.
async fn schedule_fallbacks(
    tx: &Transaction<'_>,
    context: &Context,
    moved: &[(KnownMessage, Weighed)],
) -> Result<(), StageError> {
    let mut arrived = Vec::new();
    for (message, weighed) in moved {
        let (id, snapshot) = (message.message_id, &message.snapshot);
        match weighed.state {
            State::Delivered | State::Read => {
                arrived.push((id, weighed.state, snapshot.watch.clone()));
            }
            state => fallback_schedule::settled(tx, context, id, snapshot, state).await?,
        }
    }
    fallback_schedule::received(tx, context, &arrived).await
}

/// Each message once, with the evidence of its attempts that counts.
fn by_message(
    known: Vec<KnownMessage>,
    receipts: &HashMap<String, Vec<Evidence>>,
) -> Vec<(KnownMessage, Vec<Evidence>)> {
    let mut messages: Vec<(KnownMessage, Vec<Evidence>)> = Vec::new();
    for message in known {
        let evidence = receipts.get(&message.provider_message_id).cloned().unwrap_or_default();
        let counts = evidence.into_iter().filter(|one| !is_outdated(one, &message));
        let counts = counts.map(|one| not_before_it_was_sent(one, &message));
        match messages.last_mut() {
            Some((last, all)) if last.message_id == message.message_id => {
                all.extend(counts);
                *last = message;
            }
            _ => {
                let counts = counts.collect();
                messages.push((message, counts));
            }
        }
    }
    messages.retain(|(_, evidence)| !evidence.is_empty());
    messages
}

/// Providers say whole seconds, by clocks of their own: nothing happened before the request, and nothing but sent
/// before the provider accepted it.
fn not_before_it_was_sent(evidence: Evidence, message: &KnownMessage) -> Evidence {
    let accepted_at = message.sent_at.filter(|_| evidence.status != ReceiptStatus::Sent);
    let earliest = accepted_at.unwrap_or(message.started_at).max(message.started_at);
    Evidence { happened_at: evidence.happened_at.max(earliest), ..evidence }
}

/// Evidence about an attempt that another has followed counts only if it says that the message
/// arrived; and what waits for its next attempt has arrived only if it tells nothing new by now.
fn is_outdated(evidence: &Evidence, message: &KnownMessage) -> bool {
    let arrived = matches!(evidence.status, ReceiptStatus::Delivered | ReceiptStatus::Read);
    let snapshot = &message.snapshot;
    let is_of_the_last = message.attempt == snapshot.attempt_count;
    (!arrived && !is_of_the_last)
        || (snapshot.state == State::Scheduled && snapshot.waits_for != Some(WaitsFor::Retry))
}

/// What a receipt does to its message, and how long that then waits for its next attempt.
fn event_of(context: &Context, evidence: &Evidence, attempt: u16) -> (Event, Duration) {
    if evidence.status != ReceiptStatus::Failed {
        return (Event::Receipt(evidence.status), Duration::ZERO);
    }
    let error = error_class(evidence).zip(evidence.error_code);
    failed_receipt(error, attempt, context.retry_rules(), rand::random())
}

/// How many attempts reached nobody, of each message that a receipt calls failed.
async fn unsent_of_failed(
    tx: &Transaction<'_>,
    messages: &[(KnownMessage, Vec<Evidence>)],
) -> Result<Vec<(i64, i64)>, StageError> {
    let has_failed =
        |evidence: &[Evidence]| evidence.iter().any(|one| one.status == ReceiptStatus::Failed);
    let failed = messages.iter().filter(|(_, evidence)| has_failed(evidence));
    let failed: Vec<i64> = failed.map(|(message, _)| message.message_id).collect();
    if failed.is_empty() {
        return Ok(Vec::new());
    }
    Ok(queries::settle::settle_unsent(tx, &failed).await?)
}

fn error_class(evidence: &Evidence) -> Option<ErrorClass> {
    class_of(evidence.error_code?, None)
}

/// Whether anything of the message has to be written.
fn is_news(message: &KnownMessage, weighed: &Weighed) -> bool {
    let earlier = |new: Option<jiff::Timestamp>, known: Option<jiff::Timestamp>| {
        new.is_some_and(|new| known.is_none_or(|known| new < known))
    };
    // What may not take evidence any more stays as it is.
    let takes_it =
        matches!(weighed.state, State::Sent | State::Failed(_) | State::Delivered | State::Read);
    takes_it
        && (weighed.state != message.snapshot.state
            || earlier(weighed.delivered_at, message.delivered_at)
            || earlier(weighed.read_at, message.read_at)
            || (weighed.failure.is_some() && reason_text(weighed) != message.reason_text))
}

fn reason_text(weighed: &Weighed) -> Option<String> {
    weighed.failure.as_ref().and_then(Evidence::in_words)
}

fn row(message: &KnownMessage, weighed: &Weighed) -> Moved {
    Moved {
        message_id: message.message_id,
        state: weighed.state,
        reason_text: reason_text(weighed),
        provider_message_id: weighed
            .provider_message_id
            .clone()
            .unwrap_or_else(|| message.provider_message_id.clone()),
        sent_at: weighed.sent_at,
        delivered_at: weighed.delivered_at,
        read_at: weighed.read_at,
    }
}

/// It failed for a reason that may pass: it is taken up again, and what the failure says of the provider's limits, of
/// channel and template counts as if it had been the answer.
async fn try_later(
    tx: &Transaction<'_>,
    context: &Context,
    message: &KnownMessage,
    evidence: &[Evidence],
    attempt: u16,
) -> Result<(), StageError> {
    if message.snapshot.state == State::Scheduled {
        return Ok(());
    }
    for one in evidence {
        let (event, wait) = event_of(context, one, attempt);
        if event != Event::Reopened {
            continue;
        }
        let details = TransitionDetails {
            reason_text: one.in_words(),
            due_at: context.clock.now() + wait,
            provider_message_id: Some(&one.provider_message_id),
            happened_at: one.happened_at,
        };
        transition(tx, context, message.message_id, &message.snapshot, event, details).await?;
        return learn_from_failure(tx, context, message, one).await;
    }
    Ok(())
}

/// What a failure says of the provider's limits, of channel and template.
async fn learn_from_failure(
    tx: &Transaction<'_>,
    context: &Context,
    message: &KnownMessage,
    failure: &Evidence,
) -> Result<(), StageError> {
    if message.is_carried {
        return Ok(());
    }
    let (snapshot, class) = (&message.snapshot, error_class(failure));
    if class == Some(ErrorClass::Slow) {
        let signal = LimitSignal {
            channel: &snapshot.channel,
            phone: snapshot.phone.as_deref(),
            code: failure.error_code,
            status: None,
            sent_at: Some(message.started_at),
        };
        rate_feedback::learn(tx, context, signal).await?;
    }
    let failure_signal = FailureSignal {
        message_id: message.message_id,
        failing: class.map_or(Failing::Unexplained, Failing::Class),
        code: failure.error_code,
        text: failure.error_text.as_deref(),
        is_by_receipt: true,
    };
    circuit::record_failure(tx, context, snapshot, failure_signal).await
}

/// Evidence that moved its message says something about channel and template too.
async fn learn_from(
    tx: &Transaction<'_>,
    context: &Context,
    message: &KnownMessage,
    weighed: &Weighed,
) -> Result<(), StageError> {
    match (weighed.state, &weighed.failure) {
        (State::Delivered | State::Read, _) => {
            circuit::arrived(tx, context, message.message_id).await
        }
        (State::Failed(_), Some(failure)) => {
            learn_from_failure(tx, context, message, failure).await
        }
        _ => Ok(()),
    }
}
