//! sweep: finishes what nobody else will.
//!
//! Takes leases that ran out: the daemon that held one died or hangs, and the provider may have the
//! message, so it becomes unconfirmed; unless it was a dry run, which posts nothing. Takes messages that were unconfirmed for longer than
//! `delivery.unconfirmed_after`: the policy of their watch decides. Looks once a minute whether every watch captures
//! (gaps).
//!
//! If the process dies here, the next sweep of any daemon does the same again. Not promised: that a
//! lease is noticed the moment it runs out.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::UnconfirmedPolicy;
use crate::domain::message::attempt::{Answer, AttemptId, AttemptResult};
use crate::domain::message::state::{Event, Failure};
use crate::domain::message::unconfirmed::LookupMethod;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{Progress, Stage, StageError, sleep};
use crate::pipeline::follow_up::gaps;
use crate::pipeline::settle::circuit;
use crate::pipeline::settle::settle::{Settles, settle_answer};
use crate::pipeline::settle::transition::transition;
use crate::pipeline::settle::unconfirmed::LATE_LOOK_EVERY;
use crate::postgres::outcome::replies;
use crate::postgres::queries;
use crate::postgres::queries::settle::TransitionDetails;
use crate::postgres::queries::unconfirmed::LookupStep;

/// Messages swept by one transaction.
const BATCH: i64 = 100;

/// How often to look, at most.
const LONGEST_REST: Duration = Duration::from_secs(17);

/// How often to look whether every watch captures.
const GAPS_EVERY: Duration = Duration::from_secs(60);

/// Finishes what was left behind.
pub struct Sweep {
    context: Arc<Context>,
    /// By the steady clock.
    gaps_at: Option<Timestamp>,
}

impl Sweep {
    pub fn new(context: Arc<Context>) -> Sweep {
        Sweep { context, gaps_at: None }
    }
}

impl Stage for Sweep {
    const NAME: &'static str = "sweep";

    /// Sweeps one batch.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        let swept = self.leases(&tx).await? + self.unconfirmed(&tx).await?;
        circuit::write_opt_outs(&tx, &self.context).await?;
        replies::reply_join(&tx).await?;
        tx.commit().await?;
        drop(client);
        let now = self.context.clock.steady();
        if self.gaps_at.is_none_or(|at| at <= now) {
            self.gaps_at = Some(now + GAPS_EVERY);
            gaps::note(&self.context).await?;
        }
        if swept == 0 {
            return Ok(Progress::Idle);
        }
        self.context.channel_senders.values().for_each(|channel_sender| channel_sender.ring());
        Ok(Progress::Worked)
    }

    async fn rest(&mut self, last: Progress, stop: &CancellationToken) {
        if last == Progress::Idle {
            let pause = (self.context.config.delivery.lease / 2).min(LONGEST_REST);
            sleep(pause, stop).await;
        }
    }
}

impl Sweep {
    async fn leases(&self, tx: &Transaction<'_>) -> Result<usize, StageError> {
        let lost = queries::settle::sweep_leases(tx, self.context.clock.now(), BATCH).await?;
        let answer = Answer {
            result: AttemptResult::Unknown,
            http_status: None,
            error_code: None,
            error_text: Some("the lease ran out before an answer was stored".to_owned()),
            response: None,
        };
        let rehearsed = Answer::nothing_sent("the daemon ended during a dry run".to_owned());
        for lease in &lost {
            let answer = if lease.is_dry_run { &rehearsed } else { &answer };
            let id = AttemptId { message_id: lease.message_id, number: lease.attempt };
            let settles = Settles { id, is_carried: lease.is_carried };
            settle_answer(tx, &self.context, settles, answer).await?;
        }
        let unconfirmed = lost.iter().filter(|lease| !lease.is_dry_run).count();
        if unconfirmed > 0 {
            tracing::warn!(
                messages = unconfirmed,
                "leases ran out; whether the messages left is unconfirmed"
            );
        }
        Ok(lost.len())
    }

    async fn unconfirmed(&self, tx: &Transaction<'_>) -> Result<usize, StageError> {
        let now = self.context.clock.now();
        let due = queries::settle::sweep_unconfirmed(tx, now, BATCH).await?;
        for (message_id, watch) in &due {
            let policy =
                self.context.config.watch.get(watch).map(|w| w.unconfirmed).unwrap_or_default();
            let Some(snapshot) = queries::settle::settle_lock(tx, *message_id).await? else {
                continue;
            };
            let attempt = snapshot.attempt_count;
            let step = LookupStep {
                way: LookupMethod::Policy,
                found: decided(policy),
                provider_message_id: None,
            };
            queries::unconfirmed::lookup_note(tx, *message_id, attempt, step, now).await?;
            if policy == UnconfirmedPolicy::Hold {
                let next = now + LATE_LOOK_EVERY;
                queries::unconfirmed::unconfirmed_rest(tx, *message_id, attempt, next).await?;
            } else {
                queries::unconfirmed::unconfirmed_close(tx, *message_id, attempt).await?;
            }
            let (event, text) = match policy {
                UnconfirmedPolicy::Hold => {
                    queries::settle::settle_leave_queue(tx, *message_id).await?;
                    continue;
                }
                UnconfirmedPolicy::Resend => (Event::TryAgain, "no evidence came; policy resend"),
                UnconfirmedPolicy::GiveUp => {
                    (Event::Fail(Failure::Exhausted), "no evidence came; policy give_up")
                }
            };
            let details = TransitionDetails {
                reason_text: Some(text.to_owned()),
                due_at: now,
                provider_message_id: None,
                happened_at: now,
            };
            transition(tx, &self.context, *message_id, &snapshot, event, details).await?;
        }
        Ok(due.len())
    }
}

/// What the policy of a watch does, as `explain` tells it.
fn decided(policy: UnconfirmedPolicy) -> &'static str {
    match policy {
        UnconfirmedPolicy::Hold => {
            "no evidence came in time: it is not sent again, a person has to look"
        }
        UnconfirmedPolicy::Resend => "no evidence came in time: it is sent again",
        UnconfirmedPolicy::GiveUp => "no evidence came in time: it is given up",
    }
}
