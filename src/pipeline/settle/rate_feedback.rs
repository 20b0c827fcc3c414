//! Changes the limiter of a channel when an answer or a receipt says that the provider's limits are lower.

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::message::attempt::{AttemptResult, ErrorClass};
use crate::domain::message::disposition::PAIR_LIMIT;
use crate::domain::message::outgoing::{Outgoing, Settled};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::counters;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;

/// What was too much for the provider.
#[derive(Clone, Copy, Debug)]
pub struct LimitSignal<'a> {
    pub channel: &'a str,
    pub phone: Option<&'a str>,
    pub code: Option<i32>,
    pub status: Option<u16>,
    /// When the message was sent, where it is reported later.
    pub sent_at: Option<Timestamp>,
}

/// What an answer says of the limits.
pub async fn learn_from_answer(
    tx: &Transaction<'_>,
    context: &Context,
    Settled { outgoing, answer }: &Settled,
) -> Result<(), StageError> {
    let AttemptResult::Refused { class: ErrorClass::Slow, .. } = answer.result else {
        return Ok(());
    };
    let Outgoing { channel, message, .. } = outgoing;
    let signal = LimitSignal {
        channel,
        phone: Some(&message.phone),
        code: answer.error_code,
        status: answer.http_status,
        sent_at: None,
    };
    learn(tx, context, signal).await
}

/// Slows the channel down, or lets the phone wait.
pub async fn learn(
    tx: &Transaction<'_>,
    context: &Context,
    signal: LimitSignal<'_>,
) -> Result<(), StageError> {
    let LimitSignal { channel, phone, code, status, sent_at } = signal;
    let Some(channel_sender) = context.channel_senders.get(channel) else {
        return Ok(());
    };
    let limiter = &channel_sender.limiter;
    if code == Some(PAIR_LIMIT) {
        phone.iter().for_each(|phone| limiter.exhaust(phone));
        return Ok(());
    }
    let Some((rate, at)) = limiter.cut(sent_at) else {
        return Ok(());
    };
    queries::channel_lease::channel_lease_learn(tx, channel, &context.instance, rate, at).await?;
    tracing::warn!(
        channel,
        code,
        status,
        rate_per_second = rate,
        "the provider asks to slow down: the rate is halved, and grows back within minutes"
    );
    counters::slowed_down(channel).increment(1);
    Ok(())
}
