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
use crate::pipeline::context::context::Site;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::gates::{Candidate, Decision};
use crate::postgres::queries::{self, Standing};

/// When evidence is looked for first: an answer that was only late is there by then.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// How long a message to a phone in doubt waits before it asks again.
const WAIT: Duration = Duration::from_secs(10);

/// How often it is looked whether a person has settled what the policy of the watch keeps for them.
pub const LATE_LOOK_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// Whether there may be doubts or strays at all, so that nobody asks for them in calm times.
#[derive(Debug, Default)]
pub struct Doubts {
    doubts: AtomicBool,
    strays: AtomicBool,
    changed: Notify,
}

impl Doubts {
    /// As of the last look of seek, or of what was noted since.
    pub fn there_may_be(&self, any: bool) {
        self.doubts.store(any, Ordering::Relaxed);
        if any {
            self.changed.notify_waiters();
        }
    }

    /// What is known without asking.
    pub fn there_may_be_some(&self) -> bool {
        self.doubts.load(Ordering::Relaxed)
    }

    fn noted_strays(&self) {
        self.strays.store(true, Ordering::Relaxed);
        self.changed.notify_waiters();
    }

    /// Before strays are looked at: what is noted from now on is looked at again.
    pub fn look_at_strays(&self) {
        self.strays.store(false, Ordering::Relaxed);
    }

    /// Waits until there may be something to seek, and not at all if there is.
    pub async fn there_are_some(&self) {
        let changed = self.changed.notified();
        if !self.doubts.load(Ordering::Relaxed) && !self.strays.load(Ordering::Relaxed) {
            changed.await;
        }
    }
}

/// The provider may have the last attempt of a message.
pub async fn open(
    tx: &Transaction<'_>,
    site: &Site,
    message_id: i64,
    standing: &Standing,
    decide_at: Timestamp,
) -> Result<(), StageError> {
    let Some(phone) = standing.phone.as_ref().filter(|_| site.shows_messages(&standing.channel))
    else {
        return Ok(());
    };
    site.doubts.there_may_be(true);
    let (key, look_at) = (phone_key(phone), site.clock.now() + FIRST_LOOK);
    queries::doubt_open(tx, message_id, standing.attempt_count, &key, decide_at, look_at).await?;
    Ok(())
}

/// Ids that no attempt knows may be those of requests whose answer was lost, or will be.
pub async fn note_strays(
    tx: &Transaction<'_>,
    site: &Site,
    channel: &str,
    receipts: &[Receipt],
    known: &HashSet<String>,
) -> Result<(), StageError> {
    let mut strays: Vec<&Receipt> =
        receipts.iter().filter(|r| !known.contains(&r.provider_message_id)).collect();
    // One order for all, so that two deliveries never wait for each other.
    strays.sort_by(|a, b| a.provider_message_id.cmp(&b.provider_message_id));
    if !strays.is_empty() {
        queries::stray_note(tx, channel, &strays, phone_key, site.clock.now()).await?;
        site.doubts.noted_strays();
    }
    Ok(())
}

/// Puts off what would be sent to a phone to which the same template is in doubt.
pub async fn wait_for(
    tx: &Transaction<'_>,
    site: &Site,
    candidates: &[Candidate],
    decisions: &mut [Decision],
) -> Result<(), StageError> {
    if !site.doubts.doubts.load(Ordering::Relaxed) {
        return Ok(());
    }
    let now = site.clock.now();
    let doubted = queries::doubt_phones(tx, now).await?;
    for (candidate, decision) in candidates.iter().zip(decisions) {
        let Decision::Send(words) = &*decision else { continue };
        let is_doubted = doubted.iter().any(|doubted| {
            Some(doubted.message_id) != candidate.message_id
                && doubted.channel == candidate.channel
                && Some(doubted.phone.as_str()) == words.recipient.phone()
                && doubted.template == words.template
        });
        if is_doubted {
            let why = "an earlier message to the same phone is unconfirmed, and evidence is sought";
            *decision = Decision::defer(now + WAIT, WaitsFor::UnconfirmedAttempt, why);
        }
    }
    Ok(())
}
