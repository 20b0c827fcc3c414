//! Puts off messages whose phone must not be written to yet, by the limits of their channel. The limits themselves are
//! described in `provider/limiter.rs`.
//!
//! A budget is shared by channels that several daemons may send on, so it is counted in the database: one transaction
//! after the other takes from it, and a place counts until a day after the last moment at which the request may leave.
//! What is not sent after all counts too.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::state::WaitsFor;
use crate::domain::recipient::phone_forms;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;
use crate::provider::limiter::LimitWait;

/// Puts off messages to phones that must not be written to yet. Others pass them.
pub async fn hold_back(
    tx: &Transaction<'_>,
    context: &Context,
    messages: &[Message],
    decisions: &mut [Decision],
) -> Result<(), StageError> {
    for (message, decision) in messages.iter().zip(&mut *decisions) {
        let Decision::Send(words) = &*decision else { continue };
        let (Some(phone), Some(channel_sender)) =
            (words.recipient.phone(), context.channel_senders.get(&message.channel))
        else {
            continue;
        };
        let Err(wait) = channel_sender.limiter.admit(phone) else { continue };
        *decision = deferral(context, &channel_sender.channel, wait);
    }
    of_budgets(tx, context, messages, decisions).await
}

async fn of_budgets(
    tx: &Transaction<'_>,
    context: &Context,
    messages: &[Message],
    decisions: &mut [Decision],
) -> Result<(), StageError> {
    if context.config.budget.is_empty() {
        return Ok(());
    }
    // In the order of their names, so that two transactions never wait for each other.
    let mut asking: BTreeMap<&str, Vec<(usize, String)>> = BTreeMap::new();
    for (place, (message, decision)) in messages.iter().zip(&*decisions).enumerate() {
        if let Decision::Send(words) = decision
            && let Some(phone) = words.recipient.phone()
            && let Some((budget, _)) = context.config.budget_of(&message.channel)
        {
            asking.entry(budget).or_default().push((place, phone_forms::key(phone)));
        }
    }
    let (now, lease) = (context.clock.now(), context.config.delivery.lease);
    for (name, phones) in asking {
        let Some(budget) = context.config.budget.get(name) else { continue };
        let most = budget.daily_recipients;
        let keys: Vec<&str> = phones.iter().map(|(_, phone)| phone.as_str()).collect();
        let waiting = queries::channel_lease::budget_take(tx, name, &keys, now, lease, most);
        let waiting: HashMap<String, Timestamp> = waiting.await?.into_iter().collect();
        for (place, phone) in &phones {
            let Some(until) = waiting.get(phone) else { continue };
            let why =
                format!("budget {name}: its channels have written to {most} phones within 24 h");
            if let Some(decision) = decisions.get_mut(*place) {
                *decision = Decision::defer(*until, WaitsFor::UniqueRecipients, why);
            }
        }
    }
    Ok(())
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
