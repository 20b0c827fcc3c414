//! reconcile: looks for evidence about requests whose answer was lost.
//!
//! Takes unconfirmed attempts that are due. Looks first whether a receipt named an id for that phone which no attempt
//! knows; then asks the provider for its list of messages to that phone. Where exactly one message and one
//! request fit each other, the attempt gets that id and the message is sent; receipts that came before are
//! joined then, and hookInfo is asked for it like for any other. Each step is written to
//! `rowbell.reconcile_lookup`. The last look is at the moment when the policy of the watch decides: after it sweep does.
//! What the policy keeps for a person is not asked for any more; but a receipt for that phone that comes
//! within a month is looked at, and counts if the provider says that it is of that time.
//!
//! Also joins a receipt that came in the very moment in which the answer was stored.
//!
//! If the process dies here, the unconfirmed attempt is looked into again a minute later: asking changes nothing, and an
//! id is adopted in one transaction.
//! Metrics: `rowbell_reconcile_lookups_total` by way and by what was found.
//!
//! Not promised: that evidence is found. Only what fits exactly one request is adopted, and without evidence the
//! message stays unconfirmed until the policy decides.

use std::collections::HashSet;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::UnconfirmedPolicy;
use crate::domain::message::receipt::{EvidenceSource, Receipt};
use crate::domain::message::state::{Event, State};
use crate::domain::message::unconfirmed::{
    FoundKind, LookupMethod, LookupResult, SeenMessage, earliest, next_look, pick,
};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::pulse;
use crate::pipeline::context::stage::{Progress, Stage, StageError, sleep};
use crate::pipeline::settle::evidence::{join, take_in};
use crate::pipeline::settle::transition::transition;
use crate::pipeline::settle::unconfirmed::LATE_LOOK_EVERY;
use crate::postgres::queries;
use crate::postgres::queries::settle::{MessageSnapshot, TransitionDetails};
use crate::postgres::queries::unconfirmed::{LookupStep, UnconfirmedAttempt};
use crate::provider::onemsg::client::{AskError, OneMsgClient};
use crate::provider::onemsg::message_list::{MessageList, message_list};
use crate::provider::onemsg::webhook_payload;

/// Unconfirmed attempts taken at once.
const BATCH: i64 = 20;

/// How long an unconfirmed attempt that was taken is nobody else's.
const LEASE: Duration = Duration::from_secs(60);

/// How often to look whether an unconfirmed attempt is due. A receipt that may decide one makes it due at once.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long to rest while there is nothing to look up.
const CALM_REST: Duration = Duration::from_secs(60);

/// How long a receipt may come late for what a person has to look at.
const LATE_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Late receipts for one phone whose time is asked for at once.
const LATE_AT_ONCE: i64 = 5;

/// How long ids that no attempt knows are kept.
const UNMATCHED_FOR: Duration = Duration::from_secs(24 * 3_600);
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// How long an id may wait for the attempt that it belongs to: longer than any answer is stored.
const JOIN_FOR: Duration = Duration::from_secs(10 * 60);

/// Looks for evidence on one channel.
pub struct Reconcile {
    context: Arc<Context>,
    channel: String,
    client: OneMsgClient,
    forget_at: Timestamp,
    /// Unmatched receipts of before are joined once, after a start.
    unmatched_since: Timestamp,
}

/// What one lookup found: in words, and the id if it is certain.
struct Look {
    way: LookupMethod,
    found: LookupResult,
    words: String,
    /// Of the message that was found.
    receipts: Vec<Receipt>,
}

impl Look {
    fn counted(self, channel: &str) -> Look {
        let (way, found) = (self.way.into_str(), FoundKind::from(&self.found).into_str());
        metrics::counter!("rowbell_reconcile_lookups_total", "channel" => channel.to_owned(), "method" => way, "found" => found)
            .increment(1);
        self
    }
}

impl Reconcile {
    pub fn new(context: Arc<Context>, channel: &str, client: OneMsgClient) -> Reconcile {
        let forget_at = context.clock.now();
        let unmatched_since = Timestamp::UNIX_EPOCH;
        Reconcile { context, channel: channel.to_owned(), client, forget_at, unmatched_since }
    }
}

impl Stage for Reconcile {
    const NAME: &'static str = "reconcile";

    /// Looks into the unconfirmed attempts that are due.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let now = self.context.clock.now();
        let client = self.context.pool.get().await?;
        if now >= self.forget_at {
            queries::unconfirmed::unmatched_forget(&client, now - UNMATCHED_FOR).await?;
            self.forget_at = now + FORGET_EVERY;
        }
        drop(client);
        self.join_unmatched(now).await?;
        let client = self.context.pool.get().await?;
        self.context
            .unconfirmed
            .there_may_be(queries::unconfirmed::unconfirmed_any(&client).await?);
        let unconfirmed =
            queries::unconfirmed::unconfirmed_take(&client, &self.channel, now, BATCH, now + LEASE)
                .await?;
        drop(client);
        let mut progress = Progress::Idle;
        for attempt in unconfirmed {
            progress = Progress::Worked;
            pulse::beat();
            self.look_into(&attempt).await?;
        }
        Ok(progress)
    }

    /// In calm times it is only looked whether another daemon left something to look up.
    async fn rest(&mut self, last: Progress, stop: &CancellationToken) {
        if last == Progress::Worked {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = self.context.unconfirmed.there_are_some() => {}
            () = tokio::time::sleep(CALM_REST) => {}
        }
        sleep(LOOK_EVERY, stop).await;
    }
}

impl Reconcile {
    /// A receipt and the answer to the request may be stored in the same moment, by transactions that
    /// do not see each other: what was unmatched then is joined now.
    async fn join_unmatched(&mut self, now: Timestamp) -> Result<(), StageError> {
        self.context.unconfirmed.look_at_unmatched();
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        let ids = queries::unconfirmed::unmatched_known(&tx, self.unmatched_since).await?;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        if !ids.is_empty() {
            // Messages are locked before unmatched receipts, as in every delivery.
            join(&tx, &self.context, &ids).await?;
            queries::unconfirmed::unmatched_drop(&tx, &ids).await?;
        }
        tx.commit().await?;
        self.unmatched_since = now - JOIN_FOR;
        Ok(())
    }

    async fn look_into(&self, attempt: &UnconfirmedAttempt) -> Result<(), StageError> {
        let now = self.context.clock.now();
        if !attempt.is_open || (attempt.is_late && now >= attempt.decide_at + LATE_FOR) {
            return self.close(attempt).await;
        }
        if attempt.is_late {
            return self.look_late(attempt, now).await;
        }
        let by_receipts = self.by_receipts(attempt).await?.counted(&self.channel);
        if let LookupResult::One(_) = by_receipts.found {
            return self.adopt(attempt, by_receipts).await;
        }
        let by_list = self.by_list(attempt, earliest(attempt.started_at)..).await?;
        let by_list = by_list.counted(&self.channel);
        if let LookupResult::One(_) = by_list.found {
            return self.adopt(attempt, by_list).await;
        }
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        for look in [by_receipts, by_list] {
            // That no receipt came is no news.
            if look.way == LookupMethod::List || look.found != LookupResult::Nothing {
                let step =
                    LookupStep { way: look.way, found: &look.words, provider_message_id: None };
                queries::unconfirmed::lookup_note(
                    &tx,
                    attempt.message_id,
                    attempt.number,
                    step,
                    now,
                )
                .await?;
            }
        }
        if now >= attempt.decide_at && self.is_kept(attempt) {
            let next = now + LATE_LOOK_EVERY;
            queries::unconfirmed::unconfirmed_rest(&tx, attempt.message_id, attempt.number, next)
                .await?;
        } else if now >= attempt.decide_at {
            queries::unconfirmed::unconfirmed_close(&tx, attempt.message_id, attempt.number)
                .await?;
        } else {
            let next = next_look(now, attempt.asked_count + 1, attempt.decide_at);
            queries::unconfirmed::unconfirmed_wait(&tx, attempt.message_id, attempt.number, next)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Whether the policy of its watch keeps the message for a person.
    fn is_kept(&self, attempt: &UnconfirmedAttempt) -> bool {
        let watch = self.context.config.watch.get(&attempt.watch);
        watch.map(|watch| watch.unconfirmed).unwrap_or_default() == UnconfirmedPolicy::Hold
    }

    /// After the policy has decided: only what came by itself, and is known to be of that time.
    async fn look_late(
        &self,
        attempt: &UnconfirmedAttempt,
        now: Timestamp,
    ) -> Result<(), StageError> {
        let from = earliest(attempt.started_at);
        let client = self.context.pool.get().await?;
        let unmatched = queries::unconfirmed::unmatched_find_late(
            &client,
            &self.channel,
            attempt,
            from,
            LATE_AT_ONCE,
        )
        .await?;
        drop(client);
        let mut look = nothing("");
        if !unmatched.is_empty() {
            look = self.by_late_receipts(attempt, unmatched).await?;
            if look.found == LookupResult::Nothing {
                look = self.by_list(attempt, from..=attempt.decide_at).await?;
            }
        }
        if let LookupResult::One(_) = look.found {
            return self.adopt(attempt, look).await;
        }
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        if look.found != LookupResult::Nothing {
            let step = LookupStep { way: look.way, found: &look.words, provider_message_id: None };
            queries::unconfirmed::lookup_note(&tx, attempt.message_id, attempt.number, step, now)
                .await?;
        }
        let next = now + LATE_LOOK_EVERY;
        queries::unconfirmed::unconfirmed_rest(&tx, attempt.message_id, attempt.number, next)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Late receipts for that phone. Most tell no time of their own, so the provider is asked for it.
    async fn by_late_receipts(
        &self,
        attempt: &UnconfirmedAttempt,
        unmatched: Vec<(String, bool)>,
    ) -> Result<Look, StageError> {
        let time = earliest(attempt.started_at)..=attempt.decide_at;
        let mut seen = Vec::new();
        let mut receipts = Vec::new();
        for (id, is_untimed) in unmatched {
            let answered = match is_untimed {
                true => self
                    .client
                    .hook_info(&id)
                    .await
                    .map(|answer| webhook_payload::receipts(&answer, &id)),
                false => Ok(Vec::new()),
            };
            let answered = answered.unwrap_or_default();
            let first = answered.iter().filter_map(|receipt| receipt.occurred_at).min();
            if !is_untimed || first.is_some_and(|at| time.contains(&at)) {
                seen.push(SeenMessage { id, text: None });
                receipts.extend(answered);
            }
        }
        let client = self.context.pool.get().await?;
        let rivals =
            queries::unconfirmed::unconfirmed_rivals(&client, &self.channel, attempt).await?;
        let found = pick(&seen, &attempt.parameters, &rivals);
        receipts.retain(|receipt| found == LookupResult::One(receipt.provider_message_id.clone()));
        let words = match &found {
            LookupResult::One(_) => {
                "a late receipt for that phone, of that time, and no other message that it fits"
            }
            _ => {
                "late receipts for that phone, but which of the messages they belong to is not clear"
            }
        };
        Ok(Look { way: LookupMethod::Receipts, found, words: words.to_owned(), receipts })
    }

    /// Receipts that named an id for that phone which no attempt knows.
    async fn by_receipts(&self, attempt: &UnconfirmedAttempt) -> Result<Look, StageError> {
        let client = self.context.pool.get().await?;
        let from = earliest(attempt.started_at);
        let ids =
            queries::unconfirmed::unmatched_find(&client, &self.channel, attempt, from).await?;
        let rivals =
            queries::unconfirmed::unconfirmed_rivals(&client, &self.channel, attempt).await?;
        let seen: Vec<SeenMessage> =
            ids.into_iter().map(|id| SeenMessage { id, text: None }).collect();
        let found = pick(&seen, &attempt.parameters, &rivals);
        let words = match &found {
            LookupResult::One(_) => "one receipt for that phone, and no other message that it fits",
            _ => "receipts for that phone, but which of the messages they belong to is not clear",
        };
        let way = LookupMethod::Receipts;
        Ok(Look { way, found, words: words.to_owned(), receipts: Vec::new() })
    }

    /// The provider's list of messages to that phone, of some time.
    async fn by_list(
        &self,
        attempt: &UnconfirmedAttempt,
        time: impl RangeBounds<Timestamp>,
    ) -> Result<Look, StageError> {
        let from = earliest(attempt.started_at);
        let answer = self.client.messages(&attempt.phone, from).await;
        let rows = match answer.map(|answer| message_list(&answer, &attempt.phone, time)) {
            Ok(MessageList::Kept(rows)) => rows,
            Ok(MessageList::Off) => {
                return Ok(nothing("the channel keeps no history of its messages"));
            }
            Err(AskError::Refused { status, .. }) => {
                return Ok(nothing(&format!(
                    "the provider refused to show its list (HTTP {status})"
                )));
            }
            Err(_) => return Ok(nothing("the provider could not be asked for its list")),
        };
        let client = self.context.pool.get().await?;
        let ids: Vec<&str> = rows.iter().map(|(seen, _)| seen.id.as_str()).collect();
        let known: HashSet<String> =
            queries::unconfirmed::unconfirmed_known(&client, &ids).await?.into_iter().collect();
        let rivals =
            queries::unconfirmed::unconfirmed_rivals(&client, &self.channel, attempt).await?;
        let rows: Vec<(SeenMessage, Receipt)> =
            rows.into_iter().filter(|(seen, _)| !known.contains(&seen.id)).collect();
        let seen: Vec<SeenMessage> = rows.iter().map(|(seen, _)| seen.clone()).collect();
        let found = pick(&seen, &attempt.parameters, &rivals);
        let words = match &found {
            LookupResult::Nothing => "the provider's list has no message to that phone since then",
            LookupResult::One(_) => "the provider's list has the message",
            LookupResult::Several => {
                "the provider's list has messages to that phone, but which is this one is not clear"
            }
            LookupResult::AnotherText => {
                "the provider's list has a message to that phone, but it says something else"
            }
        };
        let mut receipts: Vec<Receipt> = rows.into_iter().map(|(_, receipt)| receipt).collect();
        receipts.retain(|r| found == LookupResult::One(r.provider_message_id.clone()));
        Ok(Look { way: LookupMethod::List, found, words: words.to_owned(), receipts })
    }

    /// The attempt was accepted after all.
    async fn adopt(&self, attempt: &UnconfirmedAttempt, look: Look) -> Result<(), StageError> {
        let LookupResult::One(id) = &look.found else {
            return Ok(());
        };
        let now = self.context.clock.now();
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        let happened_at = look.receipts.first().and_then(|receipt| receipt.occurred_at);
        let happened_at = happened_at.unwrap_or(now);
        let (message_id, number) = (attempt.message_id, attempt.number);
        if self.was_accepted(&tx, (message_id, number), id, happened_at).await? {
            for carried in queries::settle::digest_carried(&tx, message_id, number).await? {
                self.was_accepted(&tx, carried, id, happened_at).await?;
            }
            let step =
                LookupStep { way: look.way, found: &look.words, provider_message_id: Some(id) };
            queries::unconfirmed::lookup_note(&tx, attempt.message_id, attempt.number, step, now)
                .await?;
            take_in(&tx, &self.context, &self.channel, &look.receipts, EvidenceSource::Poll)
                .await?;
            join(&tx, &self.context, &[id]).await?;
        }
        queries::unconfirmed::unconfirmed_close(&tx, attempt.message_id, attempt.number).await?;
        tx.commit().await?;
        // Messages to the same phone have waited for this.
        if let Some(channel_sender) = self.context.channel_senders.get(&self.channel) {
            channel_sender.ring();
        }
        Ok(())
    }

    /// Moves the message of an attempt that the provider has under this id; false: it was settled otherwise.
    async fn was_accepted(
        &self,
        tx: &Transaction<'_>,
        (message_id, number): (i64, i16),
        id: &str,
        happened_at: Timestamp,
    ) -> Result<bool, StageError> {
        let snapshot = queries::settle::settle_lock(tx, message_id).await?;
        let is_open = |snapshot: &MessageSnapshot| {
            snapshot.state == State::Unconfirmed && snapshot.attempt_count == number
        };
        let Some(snapshot) = snapshot.filter(is_open) else { return Ok(false) };
        queries::unconfirmed::unconfirmed_adopt(tx, message_id, number, id).await?;
        let details = TransitionDetails {
            reason_text: None,
            due_at: self.context.clock.now(),
            provider_message_id: Some(id),
            happened_at,
        };
        transition(tx, &self.context, message_id, &snapshot, Event::Accepted, details).await?;
        Ok(true)
    }

    async fn close(&self, attempt: &UnconfirmedAttempt) -> Result<(), StageError> {
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        queries::unconfirmed::unconfirmed_close(&tx, attempt.message_id, attempt.number).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn nothing(words: &str) -> Look {
    Look {
        way: LookupMethod::List,
        found: LookupResult::Nothing,
        words: words.to_owned(),
        receipts: Vec::new(),
    }
}
