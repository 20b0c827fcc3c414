//! Logs answers: one line for each message that the provider refused, up to ten a minute for each kind; the next says how
//! many were left out. That a whole channel or template was
//! stopped, or that a channel is too fast, is logged once, where it is noticed.

use std::sync::Arc;

use crate::domain::message::attempt::{AttemptResult, ErrorClass};
use crate::domain::message::disposition::PAIR_LIMIT;
use crate::domain::message::outgoing::{Outgoing, Settled};
use crate::pipeline::context::channel_sender::ChannelSender;
use crate::pipeline::context::context::Context;

/// Logs what the provider refused, and lets the channel rest as long as it asks to.
pub fn report(context: &Context, settled: &Settled) {
    let Outgoing { channel, message, .. } = &settled.outgoing;
    let channel_sender = context.channel_senders.get(channel);
    let is_blocked = channel_sender
        .is_some_and(|sender| sender.is_blocked(&message.template, &message.language));
    match &settled.answer.result {
        AttemptResult::Accepted { .. } => {}
        AttemptResult::DryRun => debug(settled, "recorded instead of posted: a dry run"),
        AttemptResult::Refused { class: ErrorClass::Channel | ErrorClass::Template, .. } => {
            debug(settled, "provider refused a channel or template");
        }
        AttemptResult::Refused { class, retry_after } => {
            // The limit of one recipient is no limit of the others.
            let is_pair = settled.answer.error_code == Some(PAIR_LIMIT);
            if *class == ErrorClass::Slow && !is_pair {
                debug(settled, "provider asks to slow down");
            } else {
                warn(channel_sender, settled, class.into_str(), "provider refused a message");
            }
            if let (Some(time), Some(sender)) = (retry_after.filter(|_| !is_pair), channel_sender) {
                sender.stop_for(time);
            }
        }
        AttemptResult::Unreached => debug(settled, "provider could not be reached"),
        AttemptResult::NotSent if is_blocked => {
            debug(settled, "a message was given back");
        }
        result @ (AttemptResult::NotSent | AttemptResult::Unknown) => {
            let what = match result {
                AttemptResult::Unknown => {
                    "no answer: whether the provider has the message is unconfirmed"
                }
                _ => "a message was given back",
            };
            warn(channel_sender, settled, result.into_str(), what);
        }
    }
}

fn warn(sender: Option<&Arc<ChannelSender>>, settled: &Settled, class: &'static str, what: &str) {
    let answer = &settled.answer;
    let Some(left_out) = sender.map_or(Some(0), |sender| sender.line(class)) else {
        return debug(settled, what);
    };
    tracing::warn!(
        message.id = settled.outgoing.message_id,
        attempt.number = settled.outgoing.attempt,
        channel = settled.outgoing.channel,
        class,
        code = answer.error_code,
        status = answer.http_status,
        error = answer.error_text.as_deref().unwrap_or(""),
        left_out = (left_out > 0).then_some(left_out),
        "{what}"
    );
}

fn debug(settled: &Settled, what: &str) {
    let answer = &settled.answer;
    tracing::debug!(
        message.id = settled.outgoing.message_id,
        attempt.number = settled.outgoing.attempt,
        channel = settled.outgoing.channel,
        code = answer.error_code,
        status = answer.http_status,
        error = answer.error_text.as_deref().unwrap_or(""),
        "{what}"
    );
}
