//! Where the limits of a channel meet its messages: who may be written to now, and what the provider says
//! about it. The limits themselves are described in `provider/limiter.rs`.

use std::time::Duration;

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;

use crate::domain::message::attempt::{AttemptResult, ErrorClass};
use crate::domain::message::disposition::PAIR_LIMIT;
use crate::domain::message::state::WaitsFor;
use crate::pipeline::context::channel_sender::Lane;
use crate::pipeline::context::context::Site;
use crate::pipeline::context::counters;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::gates::{Candidate, Decision};
use crate::pipeline::settle::settle::Settled;
use crate::postgres::queries;
use crate::provider::limiter::{Past, Wait};

/// What is sent within a second is counted; and for slower rates, within the time of one message.
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Puts off messages to phones that must not be written to yet. Others pass them.
pub fn hold_back(site: &Site, candidates: &[Candidate], decisions: &mut [Decision]) {
    for (candidate, decision) in candidates.iter().zip(decisions) {
        let Decision::Send(words) = &*decision else { continue };
        let (Some(phone), Some(lane)) =
            (words.recipient.phone(), site.lanes.get(&candidate.channel))
        else {
            continue;
        };
        let Err(wait) = lane.limiter.admit(phone) else { continue };
        *decision = deferral(site, &lane.channel, wait);
    }
}

fn deferral(site: &Site, channel: &str, wait: Wait) -> Decision {
    let limits = site.config.channel.get(channel).map(|channel| channel.limits);
    match wait {
        Wait::Pair(until) => {
            let (burst, every) = limits.map_or((0, 0), |l| (l.pair_burst, l.pair_every.as_secs()));
            let why = format!(
                "pair limit: after {burst} messages at once, a phone gets one in {every} s on channel {channel}"
            );
            Decision::defer(until, WaitsFor::PerRecipientLimit, why)
        }
        Wait::Recipients(until) => {
            let most = limits.map_or(0, |limits| limits.daily_recipients);
            let why = format!(
                "recipient limit: channel {channel} has written to {most} phones within 24 h"
            );
            Decision::defer(until, WaitsFor::UniqueRecipients, why)
        }
    }
}

/// What an answer says about the limits of the provider: its channel slows down, or its phone waits.
pub async fn learn(tx: &Transaction<'_>, site: &Site, settled: &Settled) -> Result<(), StageError> {
    let AttemptResult::Refused { class: ErrorClass::Slow, .. } = settled.answer.result else {
        return Ok(());
    };
    let limiter = &settled.lane.limiter;
    if settled.answer.error_code == Some(PAIR_LIMIT) {
        limiter.exhaust(&settled.phone);
        return Ok(());
    }
    let Some((rate, at)) = limiter.cut() else {
        return Ok(());
    };
    let channel = &settled.lane.channel;
    queries::owner_learn(tx, channel, &site.instance, rate, at).await?;
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
    site: &Site,
    lane: &Lane,
    learned: Option<(f64, Timestamp)>,
) -> Result<Past, StageError> {
    let now = site.clock.now();
    let channel = lane.channel.as_str();
    let rate = site.config.channel.get(channel).map_or(1.0, |channel| channel.rate.as_per_second());
    // A message may leave as late as its lease ends.
    let lease = site.config.delivery.lease;
    let tx = client.transaction().await?;
    queries::owner_look(&tx).await?;
    let back = SECOND.max(Duration::from_secs_f64((1.0 / rate).clamp(0.0, 1e9)));
    let left = queries::owner_left(&tx, channel, now, back, lease).await?;
    let pairs = match lane.limiter.pair_memory() {
        Some(memory) => {
            let every = site.config.channel.get(channel).map_or(SECOND, |c| c.limits.pair_every);
            queries::owner_pairs(&tx, channel, now, memory, lease, every).await?
        }
        None => Vec::new(),
    };
    let recipients = match lane.limiter.counts_recipients() {
        true => queries::owner_recipients(&tx, channel, now, DAY, lease).await?,
        false => Vec::new(),
    };
    tx.commit().await?;
    Ok(Past { left, pairs, recipients, learned })
}
