//! Which stages move. A stage that hangs looks from outside like one that has nothing to do: the process is alive, its
//! connections are open, and no change is taken any more. So each stage notes when a step begins and how it ends.
//!
//! A step that fails is movement: whoever waits for a database that is away tries again and again. A step that does
//! not end is none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

tokio::task_local! {
    /// The pulse of the stage that works here.
    static HERE: Arc<Pulse>;
}

/// Work of the stage with this pulse.
pub async fn of_stage<T>(pulse: Arc<Pulse>, work: impl Future<Output = T>) -> T {
    HERE.scope(pulse, work).await
}

/// A long step moves on: of many questions to a provider one is done.
pub fn beat() {
    // Elsewhere, as in a story that does single steps, nobody looks.
    let _ = HERE.try_with(|pulse| pulse.begin());
}

/// The pulses of all stages of a daemon.
pub struct Pulses {
    clock: Clock,
    all: Mutex<Vec<Arc<Pulse>>>,
    movement: watch::Sender<()>,
}

/// Whether something was done by any stage since it was waited for last: for stages that follow others.
pub struct Movement(watch::Receiver<()>);

/// How often to look for what nobody here told of: what another process stored, and left.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long to gather after the first that was done: in a rush one look finds many.
const GATHER: Duration = Duration::from_millis(20);

impl Movement {
    /// Waits until something is done, or until what is known of is due; then gathers for a moment.
    pub async fn wait(&mut self, due_in: Option<SignedDuration>, stop: &CancellationToken) {
        let left = due_in.map(|left| Duration::try_from(left).unwrap_or_default().max(GATHER));
        let looked = async {
            let longest = left.unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
            let _ = tokio::time::timeout(longest, self.0.changed()).await;
            tokio::time::sleep(GATHER).await;
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = looked => {}
        }
    }
}

/// The pulse of one stage.
pub struct Pulse {
    clock: Clock,
    movement: watch::Sender<()>,
    stage: String,
    beats: Mutex<Beats>,
}

/// What was noted, by the steady clock.
#[derive(Clone, Debug)]
struct Beats {
    /// Since when the present step lasts; None: the stage rests.
    step_since: Option<Timestamp>,
    /// Since when every step has failed.
    failing_since: Option<Timestamp>,
    /// The last one failed because there was no connection to the database.
    is_cut_off: bool,
    /// Why the last one failed, as the log may hold it.
    why: String,
}

impl Beats {
    fn at_rest() -> Beats {
        Beats { step_since: None, failing_since: None, is_cut_off: false, why: String::new() }
    }
}

impl Pulses {
    pub fn new(clock: Clock) -> Pulses {
        Pulses { clock, all: Mutex::default(), movement: watch::Sender::new(()) }
    }

    /// The pulse of a stage that begins.
    pub fn of(&self, stage: impl Into<String>) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse {
            clock: self.clock.clone(),
            movement: self.movement.clone(),
            stage: stage.into(),
            beats: Mutex::new(Beats::at_rest()),
        });
        self.all.lock().unwrap_or_else(PoisonError::into_inner).push(pulse.clone());
        pulse
    }

    /// For a stage that follows others.
    pub fn movement(&self) -> Movement {
        Movement(self.movement.subscribe())
    }

    /// Something was done outside of stages, as by the webhook.
    pub fn moved(&self) {
        self.movement.send_replace(());
    }

    /// Stages whose step lasts longer than this.
    pub fn hanging(&self, longer_than: Duration) -> Vec<String> {
        self.stages(|beats| beats.step_since, longer_than)
            .into_iter()
            .map(|(stage, _)| stage)
            .collect()
    }

    /// Stages that could not do a step for longer than this, and why.
    pub fn failing(&self, longer_than: Duration) -> Vec<(String, String)> {
        self.stages(|beats| beats.failing_since, longer_than)
    }

    /// Whether stages have no connection to the database for longer than this.
    pub fn are_cut_off(&self, longer_than: Duration) -> bool {
        !self
            .stages(|beats| beats.failing_since.filter(|_| beats.is_cut_off), longer_than)
            .is_empty()
    }

    fn stages(
        &self,
        since: impl Fn(&Beats) -> Option<Timestamp>,
        longer_than: Duration,
    ) -> Vec<(String, String)> {
        let now = self.clock.steady();
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let beats = all.iter().map(|pulse| (&pulse.stage, pulse.beats()));
        let long = beats.filter(|(_, beats)| since(beats).is_some_and(|at| at + longer_than < now));
        let mut stages: Vec<_> = long.map(|(stage, beats)| (stage.clone(), beats.why)).collect();
        stages.dedup_by(|one, before| one.0 == before.0);
        stages
    }
}

impl Pulse {
    /// A step begins.
    pub fn begin(&self) {
        let now = self.clock.steady();
        self.note(|beats| beats.step_since = Some(now));
    }

    /// The step did what it should.
    pub fn worked(&self) {
        self.note(|beats| *beats = Beats::at_rest());
    }

    /// Something was done that others may wait for.
    pub fn moved(&self) {
        self.movement.send_replace(());
    }

    /// The step failed, and will be done again. `is_cut_off`: because there is no connection to the database.
    pub fn failed(&self, is_cut_off: bool, why: String) {
        let now = self.clock.steady();
        self.note(|beats| {
            beats.step_since = None;
            beats.is_cut_off = is_cut_off;
            beats.why = why;
            beats.failing_since.get_or_insert(now);
        });
    }

    /// The stage has come to its end, in order.
    pub fn end(&self) {
        self.note(|beats| {
            beats.step_since = None;
            beats.failing_since = None;
        });
    }

    fn beats(&self) -> Beats {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Beats)) {
        // Right at every line; a panic elsewhere does not spoil them.
        change(&mut self.beats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_step_that_does_not_end_is_a_stage_that_hangs_and_one_that_fails_is_not() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let pulses = Pulses::new(clock.clone());
        let (claim, sweep) = (pulses.of("claim"), pulses.of("sweep"));
        let pass = || clock.advance(MINUTE * 2);

        // Nobody has anything to do for hours.
        pass();
        assert!(pulses.hanging(MINUTE).is_empty() && pulses.failing(MINUTE).is_empty());

        // The database is away: every step fails, and none hangs.
        for _ in 0..3 {
            claim.begin();
            claim.failed(true, "no route to host".to_owned());
            pass();
        }
        assert!(pulses.hanging(MINUTE).is_empty());
        let failing = [("claim".to_owned(), "no route to host".to_owned())];
        assert_eq!(pulses.failing(MINUTE), failing);
        assert!(pulses.are_cut_off(MINUTE) && !pulses.are_cut_off(MINUTE * 10));
        claim.begin();
        claim.worked();
        assert!(pulses.failing(Duration::ZERO).is_empty());

        // A step of one of them does not end.
        sweep.begin();
        assert!(pulses.hanging(MINUTE).is_empty(), "it has just begun");
        pass();
        assert_eq!(pulses.hanging(MINUTE), ["sweep"]);
        sweep.worked();
        assert!(pulses.hanging(Duration::ZERO).is_empty());
    }
}
