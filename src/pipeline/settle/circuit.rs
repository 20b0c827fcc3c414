//! Stops a channel or a template that the provider refuses, for all messages, before a thousand customers
//! are failed one by one; and lets it send again.
//!
//! Errors of class channel or template stop it at once; permanent errors of single messages when
//! they are a sudden share of all. Where it stands is a row of `rowbell.circuit`, so a restart changes
//! nothing. After a pause one message is tried: if the provider takes it, all may leave; if not, the
//! pause grows. Messages wait as they are, changes are folded into them, and those that a burst had
//! failed are put back. Opt-outs that come in a burst are not believed.
//!
//! Outcomes are counted in this process only: after a restart counting begins anew. What was reported as an opt-out
//! is a row of `rowbell.opt_out_report` from the transaction on that stores its receipt.

use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::limit::circuit::{CircuitKey, CircuitPauses, CircuitState};
use crate::domain::message::attempt::ErrorClass;
use crate::domain::message::outgoing::Outgoing;
use crate::domain::notice;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::counters;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;
use crate::postgres::queries::blockers::CircuitRow;
use crate::postgres::queries::settle::MessageSnapshot;

/// What WhatsApp calls spam: tried again after hours, not minutes.
const SPAM: [i32; 2] = [131_048, 131_064];
const SPAM_PAUSE: Duration = Duration::from_secs(4 * 3_600);

/// The recipient stopped messages of this business at WhatsApp.
pub const OPTED_OUT: i32 = 131_050;
const OPTED_OUT_TEXT: &str =
    "WhatsApp error 131050: the recipient stopped messages of this business";

/// What is wrong, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    Class(ErrorClass),
    /// The provider could not be reached, with any message.
    Unreached,
    /// A receipt says that it did not arrive, with no error that is known. It counts against the channel: where nothing
    /// arrives any more, the fault is not the recipients'.
    Unexplained,
    /// The answer is lost, or the message was given back: that says nothing.
    Unclear,
}

/// What an answer or a receipt says about channel and template.
#[derive(Clone, Copy, Debug)]
pub struct FailureSignal<'a> {
    pub message_id: i64,
    pub failing: Failing,
    pub code: Option<i32>,
    pub text: Option<&'a str>,
    /// The provider had accepted the message before.
    pub is_by_receipt: bool,
}

/// The circuits that a message depends on: its channel's, and its template's once that is known.
fn keys_of(snapshot: &MessageSnapshot) -> Vec<CircuitKey> {
    let channel = CircuitKey::channel(&snapshot.channel);
    let template = snapshot
        .template
        .as_ref()
        .map(|(template, language)| CircuitKey::template(&snapshot.channel, template, language));
    std::iter::once(channel).chain(template).collect()
}

/// The provider took messages: good outcomes, and the end of a stop if one of them was a try.
pub async fn accepted<'a>(
    context: &Context,
    accepted: impl Iterator<Item = &'a Outgoing>,
) -> Result<(), StageError> {
    let now = context.clock.now();
    for Outgoing { message_id, channel, message, .. } in accepted {
        let template = CircuitKey::template(channel, &message.template, &message.language);
        context.circuits.good(&[CircuitKey::channel(channel), template], now);
        let probed = context.circuits.probed(*message_id);
        if !probed.is_empty() {
            let mut client = context.pool.get().await?;
            let tx = client.transaction().await?;
            probe_succeeded(&tx, context, *message_id, probed, false).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}

/// A receipt says that the message reached its recipient.
pub async fn arrived(
    tx: &Transaction<'_>,
    context: &Context,
    message_id: i64,
) -> Result<(), StageError> {
    let probed = context.circuits.probed(message_id);
    probe_succeeded(tx, context, message_id, probed, true).await
}

/// Closes the circuits that the message was tried for. A circuit that receipts opened waits for a receipt: there an
/// acceptance says nothing.
async fn probe_succeeded(
    tx: &Transaction<'_>,
    context: &Context,
    message_id: i64,
    probed: Vec<CircuitKey>,
    is_by_receipt: bool,
) -> Result<(), StageError> {
    let now = context.clock.now();
    for key in probed {
        let Some(mut circuit) = queries::blockers::circuit_lock(tx, &key).await? else {
            continue;
        };
        if circuit.state == CircuitState::Closed {
            continue;
        }
        if circuit.is_by_receipt && !is_by_receipt {
            circuit.probe_at = now + circuit.pause;
            queries::blockers::circuit_write(tx, &key, &circuit, now).await?;
            context.circuits.expect(message_id, key);
            continue;
        }
        close(tx, context, &key, circuit).await?;
    }
    Ok(())
}

/// All may leave again.
async fn close(
    tx: &Transaction<'_>,
    context: &Context,
    key: &CircuitKey,
    mut circuit: CircuitRow,
) -> Result<(), StageError> {
    let now = context.clock.now();
    circuit.state = CircuitState::Closed;
    circuit.closed_at = Some(now);
    queries::blockers::circuit_write(tx, key, &circuit, now).await?;
    queries::blockers::circuit_release(tx, key, now).await?;
    tracing::info!(circuit = %key, since = %circuit.since, "sends again: a message that was tried went well");
    if let Some(channel_sender) = context.channel_senders.get(&key.channel) {
        channel_sender.go_on(key);
        channel_sender.ring();
    }
    Ok(())
}

/// An answer or a receipt that is no success: counts it, and stops what has to be stopped.
pub async fn record_failure(
    tx: &Transaction<'_>,
    context: &Context,
    snapshot: &MessageSnapshot,
    signal: FailureSignal<'_>,
) -> Result<(), StageError> {
    let now = context.clock.now();
    let keys = keys_of(snapshot);
    let probed = context.circuits.probed(signal.message_id);
    let at_fault = at_fault(&keys, signal.failing);
    for key in &probed {
        if at_fault != Some(key) {
            rest_again(tx, context, key).await?;
        }
    }
    let Some(key) = at_fault else {
        return Ok(());
    };
    let is_probe = probed.contains(key);
    if signal.failing.opens_at_once() || is_probe {
        return open(tx, context, key, signal, error_text(signal), is_probe).await;
    }
    context.circuits.good(&keys.iter().filter(|k| *k != key).cloned().collect::<Vec<_>>(), now);
    if let Some(burst) = context.circuits.bad(key, now, signal.message_id) {
        let why = format!(
            "{} of the last {} messages were refused for good, the last with {}",
            burst.bad,
            burst.all,
            error_text(signal)
        );
        open(tx, context, key, signal, why, false).await?;
        take_back(tx, context, key, &burst.refused).await?;
    } else if is_stopped_by(tx, key, signal.code).await? {
        // It was under way when the burst stopped the others.
        take_back(tx, context, key, &[signal.message_id]).await?;
    } else if signal.code == Some(OPTED_OUT) {
        queries::blockers::opt_out_report_add(tx, signal.message_id, &snapshot.channel, now)
            .await?;
    }
    Ok(())
}

/// Whether the circuit is stopped, and by the same error.
async fn is_stopped_by(
    tx: &Transaction<'_>,
    key: &CircuitKey,
    code: Option<i32>,
) -> Result<bool, StageError> {
    let circuit = queries::blockers::circuit_lock(tx, key).await?;
    let is_same =
        |circuit: CircuitRow| circuit.state != CircuitState::Closed && circuit.error_code == code;
    Ok(circuit.is_some_and(is_same))
}

impl Failing {
    fn opens_at_once(self) -> bool {
        let (channel, template) = (ErrorClass::Channel, ErrorClass::Template);
        self == Failing::Unreached || [channel, template].map(Failing::Class).contains(&self)
    }
}

/// The circuit that an error counts against: recipients and channels against the channel, content
/// and templates against the template. Passing errors count against none.
fn at_fault(keys: &[CircuitKey], failing: Failing) -> Option<&CircuitKey> {
    match failing {
        Failing::Class(ErrorClass::Channel | ErrorClass::Recipient)
        | Failing::Unreached
        | Failing::Unexplained => keys.first(),
        Failing::Class(ErrorClass::Template | ErrorClass::Content) => keys.last(),
        Failing::Class(ErrorClass::Retry | ErrorClass::Slow | ErrorClass::Later)
        | Failing::Unclear => None,
    }
}

fn error_text(signal: FailureSignal<'_>) -> String {
    let text = signal.text.unwrap_or("no text");
    if signal.failing == Failing::Unreached {
        return format!("the provider cannot be reached: {text}");
    }
    signal.code.map_or_else(|| text.to_owned(), |code| format!("{code}: {text}"))
}

/// Stops a circuit that is closed; lets one rest longer whose try failed. One that is stopped already
/// stays as it is: answers to requests that were under way say nothing new.
async fn open(
    tx: &Transaction<'_>,
    context: &Context,
    key: &CircuitKey,
    signal: FailureSignal<'_>,
    reason: String,
    is_probe: bool,
) -> Result<(), StageError> {
    let now = context.clock.now();
    let known = queries::blockers::circuit_lock(tx, key).await?;
    let is_news = known.as_ref().is_none_or(|circuit| circuit.state == CircuitState::Closed);
    if let Some(channel_sender) = context.channel_senders.get(&key.channel) {
        channel_sender.block(key.clone());
    }
    if !is_news && !is_probe {
        return Ok(());
    }
    let pause = pause(context, known.as_ref(), signal, now);
    let opened_count = known.as_ref().map_or(0, |circuit| circuit.opened_count);
    let circuit = CircuitRow {
        state: CircuitState::Open,
        reason,
        error_code: signal.code,
        is_by_receipt: signal.is_by_receipt,
        since: known.filter(|_| !is_news).map_or(now, |circuit| circuit.since),
        pause,
        probe_at: now + pause,
        probe_message_id: Some(signal.message_id).filter(|_| is_probe),
        closed_at: None,
        opened_count: opened_count + i32::from(is_news),
    };
    queries::blockers::circuit_write(tx, key, &circuit, now).await?;
    if is_news {
        announce(key, &circuit);
    } else {
        tracing::debug!(circuit = %key, error = circuit.reason, "still stopped: the message that was tried was refused");
    }
    Ok(())
}

/// The one log line and the one counter of a stop.
fn announce(key: &CircuitKey, circuit: &CircuitRow) {
    tracing::error!(target: notice::CHANNEL_STOPPED,
        circuit = %key,
        code = circuit.error_code,
        error = circuit.reason,
        next_try_in_s = circuit.pause.as_secs(),
        "stopped sending; changes are captured and wait, `rowbell status` says more"
    );
    let kind = if key.template.is_some() { "template" } else { "channel" };
    counters::circuits_opened(&key.channel, kind).increment(1);
}

/// The first pause; longer after a try in vain, and when it had been closed for a short time only. A provider that
/// cannot be reached may be there again in a moment, and is not bothered by a try: these pauses begin as short as the
/// wait of a message, and end where the others begin.
fn pause(
    context: &Context,
    known: Option<&CircuitRow>,
    signal: FailureSignal<'_>,
    now: Timestamp,
) -> Duration {
    let settings = &context.circuits.settings;
    let (first, longest) = (settings.first_pause, settings.longest_pause);
    let pauses = match signal.failing {
        Failing::Unreached => {
            CircuitPauses { first: context.retry_rules().base.min(first), longest: first }
        }
        _ => CircuitPauses { first, longest },
    };
    let last =
        known.filter(|circuit| circuit.closed_at.is_none_or(|at| now < at + settings.window));
    let pause = pauses.after(last.map(|circuit| circuit.pause));
    if signal.code.is_some_and(|code| SPAM.contains(&code)) { pause.max(SPAM_PAUSE) } else { pause }
}

/// The try said nothing about this circuit: another message is tried after the same pause.
async fn rest_again(
    tx: &Transaction<'_>,
    context: &Context,
    key: &CircuitKey,
) -> Result<(), StageError> {
    let now = context.clock.now();
    if let Some(mut circuit) = queries::blockers::circuit_lock(tx, key).await?
        && circuit.state == CircuitState::Probing
    {
        circuit.state = CircuitState::Open;
        circuit.probe_at = now + circuit.pause;
        queries::blockers::circuit_write(tx, key, &circuit, now).await?;
    }
    if let Some(channel_sender) = context.channel_senders.get(&key.channel) {
        channel_sender.block(key.clone());
    }
    Ok(())
}

/// The fault was not the messages': they wait with the others. Who opted out in the same while is
/// not believed either.
async fn take_back(
    tx: &Transaction<'_>,
    context: &Context,
    key: &CircuitKey,
    refused: &[i64],
) -> Result<(), StageError> {
    let now = context.clock.now();
    queries::blockers::opt_out_report_drop(tx, &key.channel).await?;
    let due_at = now + context.circuits.settings.first_pause * 2;
    let why = format!("{}: refused in a burst of errors, to be tried again", key.is_stopped());
    let back = queries::blockers::circuit_take_back(tx, key, refused, due_at, &why, now).await?;
    tracing::info!(circuit = %key, messages = back.len(), "messages that the burst had failed are put back");
    Ok(())
}

/// Writes the opt-outs that were reported a window ago. More of them within one window than `minimum` are a fault of
/// somebody else, not the will of so many.
pub async fn write_opt_outs(tx: &Transaction<'_>, context: &Context) -> Result<(), StageError> {
    let now = context.clock.now();
    let settings = &context.circuits.settings;
    let (until, many) = (now - settings.window, i64::from(settings.minimum));
    let too_many = queries::blockers::opt_out_report_take(tx, until, many, OPTED_OUT_TEXT).await?;
    for (channel, count) in too_many {
        tracing::warn!(target: notice::OPT_OUTS_NOT_BELIEVED,
            channel,
            count,
            "so many opt-outs at once are not believed; none is written"
        );
    }
    Ok(())
}
