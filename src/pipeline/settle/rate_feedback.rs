//! Changes the limiter of a channel when an answer says that the provider's limits are lower.

use deadpool_postgres::Transaction;

use crate::domain::message::attempt::{AttemptResult, ErrorClass};
use crate::domain::message::disposition::PAIR_LIMIT;
use crate::domain::message::outgoing::{Outgoing, Settled};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::counters;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;

/// Slows the channel down, or lets the phone wait, if the provider says so.
pub async fn learn(
    tx: &Transaction<'_>,
    context: &Context,
    settled: &Settled,
) -> Result<(), StageError> {
    let AttemptResult::Refused { class: ErrorClass::Slow, .. } = settled.answer.result else {
        return Ok(());
    };
    let Outgoing { channel, message, .. } = &settled.outgoing;
    let Some(channel_sender) = context.channel_senders.get(channel) else {
        return Ok(());
    };
    let limiter = &channel_sender.limiter;
    if settled.answer.error_code == Some(PAIR_LIMIT) {
        limiter.exhaust(&message.phone);
        return Ok(());
    }
    let Some((rate, at)) = limiter.cut() else {
        return Ok(());
    };
    queries::channel_lease::channel_lease_learn(tx, channel, &context.instance, rate, at).await?;
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
