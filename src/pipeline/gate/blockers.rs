//! What keeps messages from leaving now: circuits, pauses, storms, a database that is a copy, another
//! daemon that holds the lease of the channel.
//!
//! Claim and compose read it in the transaction that leases messages, so that what a person or another
//! daemon decides counts from the next batch on.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::limit::circuit::CircuitKey;
use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::state::{Wait, WaitsFor};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::copy_guard;
use crate::postgres::connection::identity::Identity;
use crate::postgres::queries;
use crate::postgres::queries::blockers::Blocker;

/// How often a channel sender that a person has stopped is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A storm within a minute ends with the minute.
const MINUTE: Duration = Duration::from_secs(60);

/// Everything that stops something, as of one moment.
#[derive(Default)]
pub struct Blockers {
    circuits: HashMap<CircuitKey, Rest>,
    paused_channels: Vec<String>,
    pub paused_watches: Vec<String>,
    /// Storms within a minute that may go on, by watch.
    holds: HashMap<String, i64>,
    /// The database is a copy of the one that was installed for this environment and server.
    copy: Option<Identity>,
    /// Channels that this process may send on until the end of the transaction.
    leased: Vec<String>,
}

struct Rest {
    reason: String,
    probe_at: Timestamp,
}

/// Whether messages of a channel may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendPermission {
    Free,
    /// One message may be tried.
    Try,
    /// Nothing may leave; look again then.
    Shut(Timestamp),
}

impl SendPermission {
    /// When to look again, if nothing may leave.
    pub fn shut_until(self) -> Option<Timestamp> {
        match self {
            SendPermission::Shut(until) => Some(until),
            SendPermission::Free | SendPermission::Try => None,
        }
    }
}

impl Blockers {
    /// Reads what stops messages of these channels.
    pub async fn read(
        tx: &Transaction<'_>,
        context: &Context,
        channels: &[&str],
    ) -> Result<Blockers, StageError> {
        let environment = &context.config.installation.environment;
        let now = context.clock.now();
        let server = context.system_identifier();
        let joined = now - MINUTE;
        let found = queries::blockers::blockers_read(
            tx,
            channels,
            environment,
            server,
            joined,
            &context.instance,
        )
        .await?;
        let mut blockers = Blockers::default();
        for blocker in found {
            match blocker {
                Blocker::Circuit { key, reason, probe_at } => {
                    blockers.circuits.insert(key, Rest { reason, probe_at });
                }
                Blocker::Lease { channel, epoch } if context.knows_epoch(&channel, epoch) => {
                    blockers.leased.push(channel);
                }
                Blocker::Lease { .. } => {}
                Blocker::PausedChannel(name) => blockers.paused_channels.push(name),
                Blocker::PausedWatch(name) => blockers.paused_watches.push(name),
                Blocker::Hold { watch, hold_id } => {
                    blockers.holds.insert(watch, hold_id);
                }
                Blocker::Copy(installed) => blockers.copy = Some(installed),
            }
        }
        Ok(blockers)
    }

    /// Tells this process what was read for these channels: what is leased and depends on a stopped circuit is
    /// given back before its request, and the log says once that the database is a copy.
    pub fn announce(&self, context: &Context, channels: &[&str]) {
        match &self.copy {
            Some(installed) => copy_guard::refuse(context, installed),
            None => copy_guard::accept(context),
        }
        for channel in channels {
            if let Some(channel_sender) = context.channel_senders.get(*channel) {
                let blocks = self.circuits.keys().filter(|key| key.channel == *channel);
                channel_sender.set_blocks(blocks.cloned().collect());
            }
        }
    }

    /// Whether messages of the channel may leave now.
    pub fn permission(&self, channel: &str, now: Timestamp) -> SendPermission {
        let is_ours = self.leased.iter().any(|leased| leased == channel);
        if self.copy.is_some()
            || !is_ours
            || self.paused_channels.iter().any(|paused| paused == channel)
        {
            return SendPermission::Shut(now + LOOK_AGAIN);
        }
        match self.circuits.get(&CircuitKey::channel(channel)) {
            None => SendPermission::Free,
            Some(rest) if rest.probe_at <= now => SendPermission::Try,
            Some(rest) => SendPermission::Shut(rest.probe_at.min(now + LOOK_AGAIN)),
        }
    }

    /// The hold that what changes too fast joins.
    pub fn hold_of(&self, watch: &str) -> Option<i64> {
        self.holds.get(watch).copied()
    }

    /// Whether new messages of the watch may leave in the same moment in which they are opened.
    pub fn is_free(&self, channel: &str, watch: &str, now: Timestamp) -> bool {
        self.permission(channel, now) == SendPermission::Free
            && !self.paused_watches.iter().any(|p| p == watch)
    }
}

/// Puts off messages whose template is stopped; lets one go where it is time to try. Those that have
/// no row yet only wait.
pub async fn hold_back(
    tx: &Transaction<'_>,
    context: &Context,
    blockers: &Blockers,
    messages: &[Message],
    decisions: &mut [Decision],
) -> Result<(), StageError> {
    if blockers.circuits.keys().all(|key| key.template.is_none()) {
        return Ok(());
    }
    let now = context.clock.now();
    for (message, decision) in messages.iter().zip(decisions) {
        let Decision::Send(words) = decision else {
            continue;
        };
        let key = CircuitKey::template(&message.channel, &words.template, &words.wording.language);
        let Some(rest) = blockers.circuits.get(&key) else {
            continue;
        };
        if let Some(message_id) = message.message_id
            && try_one(tx, context, &key, message_id).await?
        {
            continue;
        }
        let pause = rest.probe_at.duration_since(now).unsigned_abs();
        let due_at =
            rest.probe_at.max(now + LOOK_AGAIN) + pause.mul_f64(rand::random::<f64>() / 10.0);
        let why = format!("{}: {}", key.is_stopped(), rest.reason);
        let wait = Wait { cause: WaitsFor::Circuit, template: key.template };
        *decision = Decision::defer(due_at, wait, why);
    }
    Ok(())
}

/// Lets one message of a stopped circuit go, if it is time and nobody else has done so.
pub async fn try_one(
    tx: &Transaction<'_>,
    context: &Context,
    key: &CircuitKey,
    message_id: i64,
) -> Result<bool, StageError> {
    let now = context.clock.now();
    // If no answer is stored, its lease has run out by then.
    let next = now + context.config.delivery.lease;
    let may = queries::blockers::circuit_probe(tx, key, message_id, now, next).await?;
    if may {
        context.circuits.expect(message_id, key.clone());
        if let Some(channel_sender) = context.channel_senders.get(&key.channel) {
            channel_sender.go_on(key);
        }
        tracing::debug!(circuit = %key, message.id = message_id, "tries one message");
    }
    Ok(may)
}
