//! outcome_hooks: tells the application what became of its rows, with SQL of its own.
//!
//! Takes the outcomes that a trigger on rowbell.message noted in the transaction that stored them; runs the hook of each in
//! a transaction that also deletes the note. A hook that fails, hangs or meets a deadlock is noted with its error and tried
//! again, later and later; it delays no outcome and no other hook. Of one message the outcomes come in their order.
//! Whoever listens is notified of many at once, after they are stored: no NOTIFY is in the way of what stores them.
//!
//! What a hook changes is muted (`rowbell.mute`), so that a hook which changes the watched table tells nobody, and is not
//! called again for it.
//!
//! If the process dies here, the transaction is undone, and the outcome is told after the start. Not promised: when, and
//! that two messages are told in the order of their outcomes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use strum::VariantArray as _;
use tokio_util::sync::CancellationToken;

use crate::domain::limit::backoff::doubled;
use crate::domain::outcome::{NumberedSql, OutcomeState, numbered};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::pulse::Movement;
use crate::pipeline::context::stage::{Progress, Stage, StageError};
use crate::postgres::outcome::outcome_calls::{
    self as outcome, NOTIFICATION, OutcomeCall, WantedOutcome,
};
use crate::postgres::outcome::outgoing_deliveries::{self, WantedEndpoint};

/// The pause before a hook that failed is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// A hook, ready to run.
struct PreparedHook {
    role: Option<String>,
    sql: NumberedSql,
}

/// Tells outcomes to the application.
pub struct OutcomeHooks {
    context: Arc<Context>,
    /// By watch and place.
    hooks: BTreeMap<(String, i16), PreparedHook>,
    has_written: bool,
    /// When the first outcome is due that is known of.
    next_at: Option<Timestamp>,
    others: Movement,
}

impl OutcomeHooks {
    pub fn new(context: Arc<Context>) -> OutcomeHooks {
        let mut hooks = BTreeMap::new();
        for (name, watch) in &context.config.watch {
            for (place, hook) in (0..).zip(&watch.outcome) {
                // What cannot be read is a mistake in the configuration, and found when it is loaded.
                let Ok(sql) = numbered(&hook.sql) else { continue };
                hooks.insert((name.clone(), place), PreparedHook { role: hook.role.clone(), sql });
            }
        }
        let others = context.pulses.movement();
        OutcomeHooks { context, hooks, has_written: false, next_at: None, others }
    }

    /// Which outcomes are noted from now on; those of a hook that is gone are not.
    async fn write_wanted(&self) -> Result<(), StageError> {
        let mut wanted = Vec::new();
        for (name, watch) in &self.context.config.watch {
            let hooks = (0..).zip(&watch.outcome);
            for (place, hook) in hooks {
                wanted.extend(hook.states.iter().map(|state| WantedOutcome {
                    watch: name,
                    place,
                    state: *state,
                }));
            }
            if self.context.config.outcome.notify {
                let all = OutcomeState::VARIANTS.iter();
                wanted.extend(all.map(|state| WantedOutcome {
                    watch: name,
                    place: NOTIFICATION,
                    state: *state,
                }));
            }
        }
        let client = self.context.pool.get().await?;
        let endpoints = self.context.config.outgoing_webhook.iter();
        let endpoints: Vec<WantedEndpoint<'_>> = endpoints
            .map(|(name, settings)| WantedEndpoint {
                endpoint: name,
                outcomes: &settings.states,
                watches: &settings.watches,
            })
            .collect();
        outgoing_deliveries::write_wanted(&client, &endpoints).await?;
        Ok(outcome::write_wanted(&client, &self.context.watch_names(), &wanted).await?)
    }
}

impl Stage for OutcomeHooks {
    const NAME: &'static str = "outcome_hooks";

    /// Tells one outcome by a hook, or many by notifications.
    async fn step(&mut self) -> Result<Progress, StageError> {
        if !self.has_written {
            self.write_wanted().await?;
            self.has_written = true;
        }
        let now = self.context.clock.now();
        let watches = self.context.watch_names();
        let mut client = self.context.pool.get().await?;
        let next = outcome::next(&client, &watches).await?;
        self.next_at = next.map(|(at, _)| at);
        let Some((_, place)) = next.filter(|(at, _)| *at <= now) else {
            return Ok(Progress::Idle);
        };
        let mut tx = client.transaction().await?;
        if place == NOTIFICATION {
            let told = outcome::notify(&tx, now, &watches).await?;
            tx.commit().await?;
            return Ok(if told > 0 { Progress::Worked } else { Progress::Idle });
        }
        let Some(call) = outcome::take(&tx, now, &watches).await? else {
            return Ok(Progress::Idle);
        };
        let timeout = self.context.config.outcome.timeout;
        let told = match self.hooks.get(&(call.watch.clone(), call.place)) {
            Some(hook) => {
                outcome::run(&mut tx, &call, &hook.sql, hook.role.as_deref(), timeout).await
            }
            None => Ok(()),
        };
        match told {
            Ok(()) => outcome::done(&tx, call.call_id).await?,
            // The connection is gone, and with it the transaction: nothing was told.
            Err(error) if error.is_closed() => return Err(error.into()),
            Err(error) => {
                let pause = doubled(FIRST_PAUSE, call.failures(), LONGEST_PAUSE);
                self.say(&call, &error);
                outcome::later(&tx, call.call_id, now + pause, &outcome::reason(&error)).await?;
            }
        }
        tx.commit().await?;
        Ok(Progress::Worked)
    }

    async fn rest(&mut self, last: Progress, stop: &CancellationToken) {
        if last == Progress::Worked {
            return;
        }
        if !self.context.config.has_outcome_hooks() {
            // What was noted for hooks that are gone is gone too, and nothing is noted any more.
            return stop.cancelled().await;
        }
        let due_in = self.next_at.map(|at| at.duration_since(self.context.clock.now()));
        self.others.wait(due_in, stop).await;
    }
}

impl OutcomeHooks {
    /// Logs the first failure of an outcome; not its words, which may quote a row.
    fn say(&self, call: &OutcomeCall, error: &tokio_postgres::Error) {
        if call.failures() > 0 {
            return;
        }
        let code = error.code().map_or("", |code| code.code());
        tracing::warn!(
            watch = call.watch,
            message_id = call.message_id,
            place = call.place,
            sqlstate = code,
            "an outcome hook failed and will be tried again; rowbell_report.outcome_calls says why"
        );
    }
}
