//! fallback: opens a message on the next channel of a watch for one that did not reach its recipient.
//!
//! Takes messages that failed because of their recipient or of passing faults, those that their recipient
//! cannot or does not want to get there, and those that were accepted and not delivered in time; opens a new
//! message on the next channel, which points to the first. It passes all gates and is put into words like any
//! other, but tells everything since the last message that is known to have arrived. It opens none where a
//! newer message tells it, or where another one of the chain arrived after all.
//!
//! A thousand customers are not sent paid messages for one fault of ours. Refusals of content, template or
//! channel lead to no fallback: a person has to look, and the message can be retried. While errors have
//! stopped the channel or the template, failures wait for what comes of it. And where nothing at all is heard
//! of a channel, the receipt sources are silent and not the phones: what is not known to be delivered waits, too;
//! and for a while after a start, when receipts of the time before may still come in.
//! What is left is bounded by the `rate` of the next channel.
//!
//! If the process dies before the commit, nothing has happened and the next step does the same again.
//! Not promised: that a fallback is opened the moment it is due.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::{FallbackStep, Watch};
use crate::domain::message::fallback::{FallbackCause, FallbackWait};
use crate::domain::message::state::{Event, Failure, Skip, State};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{Progress, Stage, StageError, sleep};
use crate::pipeline::settle::circuit::OPTED_OUT;
use crate::pipeline::settle::transition::transition;
use crate::postgres::queries;
use crate::postgres::queries::fallback::{DueFallback, FallbackSource, Unreached};
use crate::postgres::queries::settle::TransitionDetails;

/// Messages looked at by one transaction.
const BATCH: i64 = 200;

/// How often to look.
const REST: Duration = Duration::from_secs(5);

/// How often the scan starts from the beginning, to prove its bound right.
const FULL_SCAN_EVERY: Duration = Duration::from_secs(60);

/// How long something waits that cannot be decided yet.
const NOT_YET: Duration = Duration::from_secs(60);

/// How long after its start a daemon believes that receipts of the time before may still come in.
const CATCHING_UP: Duration = Duration::from_secs(600);

/// Opens fallbacks.
pub struct Fallback {
    context: Arc<Context>,
    above: (Timestamp, i64),
    full_scan_at: Timestamp,
    started_at: Timestamp,
    /// Whether the log said that receipts are missing.
    is_silent: bool,
}

/// What becomes of one message.
enum NextStep {
    /// It is told, it is on its way, or there is no further channel.
    Done,
    /// It cannot be decided yet.
    NotYet(FallbackWait),
    /// It waits for a later attempt on its own channel: that ends.
    GiveUp,
    NextChannel(String, String),
}

impl Fallback {
    pub fn new(context: Arc<Context>) -> Fallback {
        let now = context.clock.now();
        let above = (Timestamp::UNIX_EPOCH, 0);
        Fallback { context, above, full_scan_at: now, started_at: now, is_silent: false }
    }
}

impl Stage for Fallback {
    const NAME: &'static str = "fallback";

    /// Decides about one batch.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let now = self.context.clock.now();
        if now >= self.full_scan_at {
            self.above = (Timestamp::UNIX_EPOCH, 0);
            self.full_scan_at = now + FULL_SCAN_EVERY;
        }
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        let due = queries::fallback::fallback_due(&tx, now, BATCH, self.above, OPTED_OUT).await?;
        let Some(last) = due.last() else {
            return Ok(Progress::Idle);
        };
        let above = (last.due_at, last.message_id);
        let has_receipts =
            due.iter().any(|due| due.message.as_ref().is_some_and(|m| m.has_receipts));
        let (mut done, mut later, mut next_channel) =
            (Vec::new(), Vec::new(), Vec::<FallbackSource>::new());
        for DueFallback { message_id, cause, message, .. } in due {
            match message.map_or(NextStep::Done, |message| {
                self.decide(&message, message_id, cause != FallbackCause::Undelivered)
            }) {
                NextStep::Done => done.push(message_id),
                NextStep::NotYet(why) => later.push((message_id, why)),
                NextStep::GiveUp => self.give_up(&tx, message_id).await?,
                NextStep::NextChannel(channel, why) => {
                    done.push(message_id);
                    next_channel.push((message_id, channel, why));
                }
            }
        }
        let opened = queries::fallback::fallback_open(&tx, &next_channel, now).await?;
        queries::fallback::fallback_done(&tx, &done).await?;
        queries::fallback::fallback_later(&tx, &later, now + NOT_YET).await?;
        tx.commit().await?;
        self.above = above;
        self.log_silence(
            later.iter().filter(|(_, why)| *why == FallbackWait::Receipts).count(),
            has_receipts,
        );
        if !opened.is_empty() {
            tracing::info!(messages = opened.len(), "messages go on to their next channel");
            self.context.channel_senders.values().for_each(|channel_sender| channel_sender.ring());
        }
        Ok(Progress::Worked)
    }

    async fn rest(&mut self, last: Progress, stop: &CancellationToken) {
        if last == Progress::Idle {
            sleep(REST, stop).await;
        }
    }
}

impl Fallback {
    /// Logs once that receipts are missing, and once that they come again.
    fn log_silence(&mut self, messages: usize, has_receipts: bool) {
        if messages > 0 && !self.is_silent {
            tracing::warn!(
                messages,
                "nothing at all is heard of these messages or their channels since they were sent, so they do \
                 not go on to their next channel; is the webhook registered?"
            );
            self.is_silent = true;
        } else if has_receipts && self.is_silent {
            tracing::info!("receipts come in again");
            self.is_silent = false;
        }
    }

    fn decide(&self, message: &Unreached, message_id: i64, is_failure: bool) -> NextStep {
        let Some(watch) = self.context.config.watch.get(&message.watch) else {
            return NextStep::Done;
        };
        let next = next_step(watch, message);
        let (false, Some(next)) = (message.is_told, next) else {
            return NextStep::Done;
        };
        let why = match (is_failure, message.state) {
            // Ours, not the recipient's.
            (true, State::Failed(Failure::Undeliverable | Failure::Exhausted))
            | (false, State::Sent | State::Unconfirmed)
                if message.is_circuit_open =>
            {
                return NextStep::NotYet(FallbackWait::Circuit);
            }
            (
                true,
                State::Failed(Failure::Undeliverable | Failure::Exhausted)
                | State::Skipped(Skip::OptedOut | Skip::BadPhone | Skip::BadEmail),
            ) => message.state.reason().unwrap_or_default(),
            // Taken up again in the meantime.
            (true, _) => return NextStep::Done,
            (false, State::Sent | State::Unconfirmed)
                if self.context.clock.now() < self.started_at + CATCHING_UP =>
            {
                return NextStep::NotYet(FallbackWait::PastReceipts);
            }
            (false, State::Sent | State::Unconfirmed) if !message.has_receipts => {
                return NextStep::NotYet(FallbackWait::Receipts);
            }
            (false, State::Sent | State::Unconfirmed) => "not delivered in time",
            (false, State::Scheduled | State::Waiting) => return NextStep::GiveUp,
            (false, State::Sending) => return NextStep::NotYet(FallbackWait::Attempt),
            (false, State::Held) => return NextStep::NotYet(FallbackWait::Person),
            (false, _) => return NextStep::Done,
        };
        let why =
            format!("stands in for message {message_id} on channel {}: {why}", message.channel);
        NextStep::NextChannel(next.channel.clone(), why)
    }

    /// It waits for hours until its own channel may try again. It fails, so that its next channel need not wait.
    async fn give_up(
        &self,
        tx: &deadpool_postgres::Transaction<'_>,
        message_id: i64,
    ) -> Result<(), StageError> {
        let now = self.context.clock.now();
        let Some(snapshot) = queries::settle::settle_lock(tx, message_id).await? else {
            return Ok(());
        };
        let details = TransitionDetails {
            reason_text: Some("not delivered in time; told on another channel".to_owned()),
            due_at: now,
            provider_message_id: None,
            happened_at: now,
        };
        let event = Event::Fail(Failure::Undeliverable);
        transition(tx, &self.context, message_id, &snapshot, event, details).await?;
        Ok(())
    }
}

/// The channel that comes next; for those who opted out, here or at WhatsApp, one that is meant for them.
fn next_step<'a>(watch: &'a Watch, message: &Unreached) -> Option<&'a FallbackStep> {
    let is_opt_out = message.is_opt_out || message.state == State::Skipped(Skip::OptedOut);
    watch.fallbacks_after(&message.channel).iter().find(|step| step.on_opt_out || !is_opt_out)
}
