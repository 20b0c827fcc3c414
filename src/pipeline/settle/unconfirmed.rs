//! Requests whose answer is not known: opened when that is found out, and waited for by messages to
//! the same phone. Two of them at once could not be told apart in what the provider shows.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio::sync::Notify;

use crate::domain::message::receipt::Receipt;
use crate::domain::message::state::WaitsFor;
use crate::domain::recipient::phone_forms::key as phone_key;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::gates::{Candidate, Decision};
use crate::postgres::queries::{self, MessageSnapshot};

/// When evidence is looked for first: an answer that was only late is there by then.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// How long a message to a phone unconfirmed waits before it asks again.
const WAIT: Duration = Duration::from_secs(10);

/// How often it is looked whether a person has settled what the policy of the watch keeps for them.
pub const LATE_LOOK_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// Whether there may be unconfirmed attempts or unmatched receipts at all, so that nobody asks for them in calm times.
#[derive(Debug, Default)]
pub struct UnconfirmedAttempts {
    unconfirmed: AtomicBool,
    unmatched: AtomicBool,
    changed: Notify,
}

impl UnconfirmedAttempts {
    /// As of the last look of seek, or of what was noted since.
    pub fn there_may_be(&self, any: bool) {
        self.unconfirmed.store(any, Ordering::Relaxed);
        if any {
            self.changed.notify_waiters();
        }
    }

    /// What is known without asking.
    pub fn there_may_be_some(&self) -> bool {
        self.unconfirmed.load(Ordering::Relaxed)
    }

    fn noted_unmatched(&self) {
        self.unmatched.store(true, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Before unmatched receipts are looked at: what is noted from now on is looked at again.
    pub fn look_at_unmatched(&self) {
        self.unmatched.store(false, Ordering::Relaxed);
    }

    /// Waits until there may be something to seek, and not at all if there is.
    pub async fn there_are_some(&self) {
        let changed = self.changed.notified();
        if !self.unconfirmed.load(Ordering::Relaxed) && !self.unmatched.load(Ordering::Relaxed) {
            changed.await;
        }
    }
}

/// The provider may have the last attempt of a message.
pub async fn open(
    tx: &Transaction<'_>,
    context: &Context,
    message_id: i64,
    snapshot: &MessageSnapshot,
    decide_at: Timestamp,
) -> Result<(), StageError> {
    let Some(phone) = snapshot.phone.as_ref().filter(|_| context.shows_messages(&snapshot.channel))
    else {
        return Ok(());
    };
    context.unconfirmed.there_may_be(true);
    let (key, look_at) = (phone_key(phone), context.clock.now() + FIRST_LOOK);
    queries::unconfirmed_open(tx, message_id, snapshot.attempt_count, &key, decide_at, look_at)
        .await?;
    Ok(())
}

/// Ids that no attempt knows may be those of requests whose answer was lost, or will be.
pub async fn note_unmatched(
    tx: &Transaction<'_>,
    context: &Context,
    channel: &str,
    receipts: &[Receipt],
    known: &HashSet<String>,
) -> Result<(), StageError> {
    let mut unmatched: Vec<&Receipt> =
        receipts.iter().filter(|r| !known.contains(&r.provider_message_id)).collect();
    // One order for all, so that two deliveries never wait for each other.
    unmatched.sort_by(|a, b| a.provider_message_id.cmp(&b.provider_message_id));
    if !unmatched.is_empty() {
        queries::unmatched_note(tx, channel, &unmatched, phone_key, context.clock.now()).await?;
        context.unconfirmed.noted_unmatched();
    }
    Ok(())
}

/// Puts off what would be sent to a phone to which the same template is unconfirmed.
pub async fn wait_for(
    tx: &Transaction<'_>,
    context: &Context,
    candidates: &[Candidate],
    decisions: &mut [Decision],
) -> Result<(), StageError> {
    if !context.unconfirmed.unconfirmed.load(Ordering::Relaxed) {
        return Ok(());
    }
    let now = context.clock.now();
    let unconfirmed_rows = queries::unconfirmed_phones(tx, now).await?;
    for (candidate, decision) in candidates.iter().zip(decisions) {
        let Decision::Send(words) = &*decision else { continue };
        let is_unconfirmed = unconfirmed_rows.iter().any(|unconfirmed_rows| {
            Some(unconfirmed_rows.message_id) != candidate.message_id
                && unconfirmed_rows.channel == candidate.channel
                && Some(unconfirmed_rows.phone.as_str()) == words.recipient.phone()
                && unconfirmed_rows.template == words.template
        });
        if is_unconfirmed {
            let why = "an earlier message to the same phone is unconfirmed, and evidence is sought";
            *decision = Decision::defer(now + WAIT, WaitsFor::UnconfirmedAttempt, why);
        }
    }
    Ok(())
}
