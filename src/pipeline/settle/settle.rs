//! settle: writes what became of an attempt, and moves its message.
//!
//! Takes answers from deliver, unconfirmed attempts from sweep and evidence from receive; asks
//! `domain::message::apply` where each message goes; writes attempt, message and queue together.
//! Acceptances are stored many at a time; whatever has arrived while the last batch was written is
//! the next batch.
//!
//! If the process dies before an answer is written, the lease runs out and the message is
//! unconfirmed, although the provider may have accepted it: that is the one window in which evidence
//! has to decide. While the database is away answers wait in memory. Not promised: that a stop with
//! the database away loses none of them; it says how many.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::message::attempt::{Answer, AttemptId, AttemptResult, counted_attempts};
use crate::domain::message::disposition::disposition;
use crate::domain::message::outgoing::{Outgoing, Settled};
use crate::domain::message::state::{Event, State};
use crate::domain::notice;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{Failures, StageError, loggable};
use crate::pipeline::settle::circuit::{self, Failing, FailureSignal};
use crate::pipeline::settle::evidence::join;
use crate::pipeline::settle::log::report;
use crate::pipeline::settle::rate_feedback;
use crate::pipeline::settle::transition::transition;
use crate::postgres::queries;
use crate::postgres::queries::settle::TransitionDetails;

/// Answers written by one statement, at most.
const BATCH: usize = 500;

/// How long to gather answers when they come faster than one at a time.
const GATHER: Duration = Duration::from_millis(2);

/// Writes answers.
pub struct Settle {
    context: Arc<Context>,
    inbox: mpsc::UnboundedReceiver<Settled>,
    unwritten: Vec<Settled>,
}

impl Settle {
    pub fn new(context: Arc<Context>, inbox: mpsc::UnboundedReceiver<Settled>) -> Settle {
        Settle { context, inbox, unwritten: Vec::new() }
    }

    /// Writes answers until every sender is gone, or, once told to stop, until `give_up`.
    pub async fn run(mut self, give_up: CancellationToken) {
        let mut failures = Failures::new("settle");
        let pulse = self.context.pulses.of("settle");
        while self.gather().await {
            pulse.begin();
            while let Err(error) = self.step().await {
                pulse.failed(error.is_of_the_connection(), loggable(&error));
                let wait = failures.add(&error);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = give_up.cancelled() => {
                        tracing::error!(target: notice::ANSWERS_NOT_STORED,
                            messages = self.unwritten.len(),
                            "stopped before these answers could be stored; their messages will be unconfirmed"
                        );
                        return;
                    }
                }
                pulse.begin();
            }
            pulse.worked();
            pulse.moved();
            failures.end();
        }
    }

    /// Waits for answers. False when there will be none any more.
    async fn gather(&mut self) -> bool {
        if self.inbox.recv_many(&mut self.unwritten, BATCH).await == 0 {
            return false;
        }
        if self.unwritten.len() > 1 && self.unwritten.len() < BATCH {
            tokio::time::sleep(GATHER).await;
            while self.unwritten.len() < BATCH {
                let Ok(settled) = self.inbox.try_recv() else {
                    break;
                };
                self.unwritten.push(settled);
            }
        }
        true
    }

    /// Writes the answers at hand. On an error they stay at hand.
    pub async fn step(&mut self) -> Result<(), StageError> {
        while self.unwritten.len() < BATCH {
            let Ok(settled) = self.inbox.try_recv() else {
                break;
            };
            self.unwritten.push(settled);
        }
        // Acceptances first: each that waits in memory is a message that a crash makes unconfirmed.
        let moved = self.write_accepted().await?;
        self.finish(|outgoing| outgoing.attempts().all(|id| moved.contains(&id.message_id)));
        while let Some(settled) = self.unwritten.last() {
            let message_id = settled.outgoing.message_id;
            let mut client = self.context.pool.get().await?;
            let tx = client.transaction().await?;
            for id in settled.outgoing.attempts() {
                let settles = Settles { id, is_carried: id.message_id != message_id };
                settle_answer(&tx, &self.context, settles, &settled.answer).await?;
            }
            rate_feedback::learn_from_answer(&tx, &self.context, settled).await?;
            tx.commit().await?;
            report(&self.context, settled);
            self.finish(|outgoing| outgoing.message_id == message_id);
        }
        Ok(())
    }

    /// Stores plain acceptances at once; returns the messages that are settled by that.
    async fn write_accepted(&self) -> Result<HashSet<i64>, StageError> {
        let accepted: Vec<(&Settled, &str)> = self
            .unwritten
            .iter()
            .filter_map(|settled| Some((settled, settled.answer.provider_message_id()?)))
            .collect();
        if accepted.is_empty() {
            return Ok(HashSet::new());
        }
        let now = self.context.clock.now();
        let mut client = self.context.pool.get().await?;
        let ask = self.context.ask(now);
        let moved = queries::settle::settle_accepted(
            &client,
            &accepted,
            now,
            ask,
            &self.context.silent_channels,
        )
        .await?;
        let moved: HashMap<i64, bool> = moved.into_iter().collect();
        let outrun: Vec<&str> = accepted
            .iter()
            .filter(|(settled, _)| moved.get(&settled.outgoing.message_id) == Some(&true))
            .map(|(_, provider_message_id)| *provider_message_id)
            .collect();
        let written = self.unwritten.iter().map(|settled| &settled.outgoing);
        let written = written.filter(|outgoing| moved.contains_key(&outgoing.message_id));
        for outgoing in written.clone() {
            let is_moved = |id: &AttemptId| moved.contains_key(&id.message_id);
            outgoing.attempts().filter(is_moved).for_each(|_| {
                self.context.counts.became(&outgoing.watch, &outgoing.channel, State::Sent);
            });
        }
        // Receipts that came before these ids were stored are joined now: nobody else would.
        if !outrun.is_empty() {
            let tx = client.transaction().await?;
            join(&tx, &self.context, &outrun).await?;
            tx.commit().await?;
        }
        // It takes a connection of its own, and the pool may have no other.
        drop(client);
        circuit::accepted(&self.context, written).await?;
        Ok(moved.into_keys().collect())
    }

    /// Counts and forgets what is written, and gives its slots back.
    fn finish(&mut self, is_done: impl Fn(&Outgoing) -> bool) {
        let done = self.unwritten.extract_if(.., |settled| is_done(&settled.outgoing));
        for Settled { outgoing, answer } in done {
            if let Some(channel_sender) = self.context.channel_senders.get(&outgoing.channel) {
                channel_sender.counts.attempted(&answer.result);
                channel_sender.note_answer(&answer.result);
                if answer.provider_message_id().is_some() {
                    channel_sender.note_accepted(1);
                    let took = self.context.clock.now().duration_since(outgoing.changed_at);
                    channel_sender
                        .counts
                        .change_to_accepted_seconds
                        .record(took.as_secs_f64().max(0.0));
                }
                channel_sender.release(1);
            }
        }
    }
}

fn failure_signal_of(message_id: i64, answer: &Answer) -> FailureSignal<'_> {
    let failing = match &answer.result {
        AttemptResult::Refused { class, .. } => Failing::Class(*class),
        AttemptResult::Unreached => Failing::Unreached,
        _ => Failing::Unclear,
    };
    FailureSignal {
        message_id,
        failing,
        code: answer.error_code,
        text: answer.error_text.as_deref(),
        is_by_receipt: false,
    }
}

/// The attempt that an answer is about.
#[derive(Clone, Copy, Debug)]
pub struct Settles {
    pub id: AttemptId,
    /// The request of another message said it: what the answer says of channel and template counts there.
    pub is_carried: bool,
}

/// Writes what is known of one attempt and moves its message.
pub async fn settle_answer(
    tx: &Transaction<'_>,
    context: &Context,
    settles: Settles,
    answer: &Answer,
) -> Result<(), StageError> {
    let AttemptId { message_id, number: attempt } = settles.id;
    let now = context.clock.now();
    let Some(snapshot) = queries::settle::settle_lock(tx, message_id).await? else {
        return Ok(());
    };
    queries::settle::settle_attempt(tx, message_id, attempt, answer, now).await?;
    let unsent = queries::settle::settle_unsent(tx, &[message_id]).await?;
    let number = counted_attempts(attempt, message_id, &unsent);
    let (event, wait) = disposition(answer, number, context.retry_rules(), rand::random());
    // The lease of this attempt ran out and another one has begun: only an acceptance still counts.
    if attempt != snapshot.attempt_count && event != Event::Accepted {
        return Ok(());
    }
    let provider_message_id = answer.provider_message_id();
    transition(
        tx,
        context,
        message_id,
        &snapshot,
        event,
        TransitionDetails {
            reason_text: answer.error_text.clone(),
            due_at: now + wait,
            provider_message_id,
            happened_at: now,
        },
    )
    .await?;
    if provider_message_id.is_none() && !settles.is_carried {
        circuit::record_failure(tx, context, &snapshot, failure_signal_of(message_id, answer))
            .await?;
    }
    // Its receipt may have come before its id was known.
    if let Some(id) = provider_message_id {
        join(tx, context, &[id]).await?;
    }
    Ok(())
}
