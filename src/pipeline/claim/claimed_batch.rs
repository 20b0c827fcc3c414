//! Collects what one claim decided, and carries it out: in its transaction, and after its commit.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::message::message::Message;
use crate::domain::message::outgoing::Outgoing;
use crate::pipeline::claim::burst_hold::{self, NewHold};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::blockers::Blockers;
use crate::postgres::connection::session::CHANNEL;
use crate::postgres::queries;
use crate::postgres::queries::claim::FoldedIn;

/// What one claim leaves to do after its commit.
#[derive(Default)]
pub struct ClaimResult {
    pub messages: Vec<Message>,
    pub folded: Vec<FoldedIn>,
    /// Open messages of single recipients took in changes.
    pub has_joined: bool,
    /// What was admitted on each channel and is not used yet.
    pub admitted: BTreeMap<String, usize>,
    pub blockers: Blockers,
    /// Storms that were noticed, and messages that waited already and join them.
    pub holds: Vec<NewHold>,
    pub joining: Vec<(i64, i64)>,
}

impl ClaimResult {
    /// What belongs to a storm joins its hold: new messages, and open ones.
    pub async fn hold(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<(), StageError> {
        let mut joining = self.joining.clone();
        let new = self.messages.iter().map(|message| (message.message_id, message.hold_id));
        let folded = self.folded.iter().map(|folded| (Some(folded.message_id), folded.hold_id));
        joining.extend(new.chain(folded).filter_map(|(id, hold_id)| id.zip(hold_id)));
        if !joining.is_empty() {
            queries::claim::storm_join(tx, &joining, now).await?;
        }
        Ok(())
    }

    /// After the commit: logs storms, counts what ended, hands leased messages to deliver, and wakes compose
    /// for those that wait. Returns whether some wait on a channel of another daemon.
    pub fn send_off(&mut self, context: &Context, expires_at: Timestamp) -> bool {
        self.holds.iter().for_each(burst_hold::announce);
        let mut is_others = false;
        for message in self.messages.drain(..) {
            if message.words.is_none() {
                context.counts.became(&message.watch, &message.channel, message.state);
            }
            let Some(channel_sender) = context.channel_senders.get(&message.channel) else {
                continue;
            };
            match Outgoing::new(message, 1, expires_at, Vec::new()) {
                Some(outgoing) => {
                    if let Some(unused) = self.admitted.get_mut(&outgoing.channel) {
                        *unused = unused.saturating_sub(1);
                    }
                    channel_sender.push(outgoing);
                }
                None => {
                    is_others |= !channel_sender.is_leased();
                    channel_sender.ring();
                }
            }
        }
        if !self.folded.is_empty() || self.has_joined {
            context.channel_senders.values().for_each(|channel_sender| channel_sender.ring());
        }
        is_others
    }

    /// Gives back what was admitted and not used.
    pub fn give_back(&self, context: &Context) {
        for (channel, unused) in &self.admitted {
            if let Some(channel_sender) = context.channel_senders.get(channel) {
                channel_sender.give_back(*unused);
            }
        }
    }
}

/// Rings for the daemons that send on other channels.
pub async fn ring_others(context: &Context) -> Result<(), StageError> {
    let client = context.pool.get().await?;
    client.batch_execute(&format!("notify {CHANNEL}")).await?;
    Ok(())
}
