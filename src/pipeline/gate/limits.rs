//! Where the limits of a channel meet its messages: who may be written to now, and what the provider says
//! about it. The limits themselves are described in `provider/limiter.rs`.

use std::time::Duration;

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;

use crate::domain::message::attempt::{AttemptResult, ErrorClass};
use crate::domain::message::disposition::PAIR_LIMIT;
use crate::domain::message::state::WaitsFor;
use crate::pipeline::context::channel_sender::ChannelSender;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::counters;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::gates::{Candidate, Decision};
use crate::pipeline::settle::settle::Settled;
use crate::postgres::queries;
use crate::provider::limiter::{LimitWait, SentBefore};

/// What is sent within a second is counted; and for slower rates, within the time of one message.
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Puts off messages to phones that must not be written to yet. Others pass them.
pub fn hold_back(context: &Context, candidates: &[Candidate], decisions: &mut [Decision]) {
    for (candidate, decision) in candidates.iter().zip(decisions) {
        let Decision::Send(words) = &*decision else { continue };
        let (Some(phone), Some(channel_sender)) =
            (words.recipient.phone(), context.channel_senders.get(&candidate.channel))
        else {
            continue;
        };
        let Err(wait) = channel_sender.limiter.admit(phone) else { continue };
        *decision = deferral(context, &channel_sender.channel, wait);
    }
}

fn deferral(context: &Context, channel: &str, wait: LimitWait) -> Decision {
    let limits = context.config.channel.get(channel).map(|channel| channel.limits);
    match wait {
        LimitWait::Pair(until) => {
            let (burst, every) = limits.map_or((0, 0), |l| (l.pair_burst, l.pair_every.as_secs()));
            let why = format!(
                "pair limit: after {burst} messages at once, a phone gets one in {every} s on channel {channel}"
            );
            Decision::defer(until, WaitsFor::PerRecipientLimit, why)
        }
        LimitWait::Recipients(until) => {
            let most = limits.map_or(0, |limits| limits.daily_recipients);
            let why = format!(
                "recipient limit: channel {channel} has written to {most} phones within 24 h"
            );
            Decision::defer(until, WaitsFor::UniqueRecipients, why)
        }
    }
}

/// What an answer says about the limits of the provider: its channel slows down, or its phone waits.
pub async fn learn(
    tx: &Transaction<'_>,
    context: &Context,
    settled: &Settled,
) -> Result<(), StageError> {
    let AttemptResult::Refused { class: ErrorClass::Slow, .. } = settled.answer.result else {
        return Ok(());
    };
    let limiter = &settled.channel_sender.limiter;
    if settled.answer.error_code == Some(PAIR_LIMIT) {
        limiter.exhaust(&settled.phone);
        return Ok(());
    }
    let Some((rate, at)) = limiter.cut() else {
        return Ok(());
    };
    let channel = &settled.channel_sender.channel;
    queries::channel_lease_learn(tx, channel, &context.instance, rate, at).await?;
    tracing::warn!(
        channel,
        code = settled.answer.error_code,
        status = settled.answer.http_status,
        rate_per_second = rate,
        "the provider asks to slow down: the rate is halved, and grows back within minutes"
    );
    counters::slowed_down(channel).increment(1);
    Ok(())
}

/// What was sent on a channel until now, whoever sent it.
pub async fn past(
    client: &mut Client,
    context: &Context,
    channel_sender: &ChannelSender,
    learned: Option<(f64, Timestamp)>,
) -> Result<SentBefore, StageError> {
    let now = context.clock.now();
    let channel = channel_sender.channel.as_str();
    let rate =
        context.config.channel.get(channel).map_or(1.0, |channel| channel.rate.as_per_second());
    // A message may leave as late as its lease ends.
    let lease = context.config.delivery.lease;
    let tx = client.transaction().await?;
    queries::channel_lease_look(&tx).await?;
    let back = SECOND.max(Duration::from_secs_f64((1.0 / rate).clamp(0.0, 1e9)));
    let left = queries::channel_lease_left(&tx, channel, now, back, lease).await?;
    let pairs = match channel_sender.limiter.recipient_memory() {
        Some(memory) => {
            let every = context.config.channel.get(channel).map_or(SECOND, |c| c.limits.pair_every);
            queries::channel_lease_recipient_limits(&tx, channel, now, memory, lease, every).await?
        }
        None => Vec::new(),
    };
    let recipients = match channel_sender.limiter.counts_recipients() {
        true => queries::channel_lease_recipients(&tx, channel, now, DAY, lease).await?,
        false => Vec::new(),
    };
    tx.commit().await?;
    Ok(SentBefore { left, pairs, recipients, learned })
}
