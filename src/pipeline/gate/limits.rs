//! Puts off messages whose phone must not be written to yet, by the limits of their channel. The limits themselves are
//! described in `provider/limiter.rs`.

use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::state::WaitsFor;
use crate::pipeline::context::context::Context;
use crate::provider::limiter::LimitWait;

/// Puts off messages to phones that must not be written to yet. Others pass them.
pub fn hold_back(context: &Context, messages: &[Message], decisions: &mut [Decision]) {
    for (message, decision) in messages.iter().zip(decisions) {
        let Decision::Send(words) = &*decision else { continue };
        let (Some(phone), Some(channel_sender)) =
            (words.recipient.phone(), context.channel_senders.get(&message.channel))
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
