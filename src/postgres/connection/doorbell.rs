//! The protocol of the doorbell: what a daemon does about it next, whenever a look for changes has found nothing.
//!
//! The bell says `parked`: every commit rings, and daemons may sleep. It says `awake`: nobody rings, and one daemon,
//! the keeper, looks by itself. The keeper holds a lock of its session, so that the server frees it when it dies,
//! and it is the keeper for as long as there may be a writer that has read `awake` and is not looked for yet.
//!
//! Back to sleep: (a) set `parked`; (b) take a barrier, the id of a transaction begun after that; (c) look at short
//! intervals until every transaction with a smaller id has ended: a writer has its id before it reads the bell, so
//! each one that can have read `awake` is among them; (d) look once more; (e) be keeper no longer; sleep. The barrier
//! must be a fresh id: the `xmax` of a snapshot is one past the highest *completed* id and may lie below a running
//! writer's.
//!
//! Before the keeper sets `awake`, it tells the other daemons. They stand by from then on: they look once a second and
//! ask to be the keeper, so one that dies is replaced within a second. One that leaves in order parks the bell first
//! and tells the others, who do (b) to (e) in its place; the last one of all leaves `awake` behind, so that writers
//! need not ring for nobody.
//!
//! Nothing here knows SQL or time. `tests/it/capture/doorbell_model.rs` walks through all that can happen between
//! daemons and writers with these very steps.

/// What a daemon does next about the doorbell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BellStep {
    /// Has no part in it, and must not sleep: no look since it came could have missed nothing.
    Away,
    /// Asks to be the keeper, to park the bell: whoever kept it may be gone.
    KeepParked,
    /// Asks to be the keeper, to set the bell to `awake`: there is a rush.
    KeepAwake,
    /// Another daemon is the keeper: looks at every ring and once a second, and asks again.
    StandBy,
    /// Tells the others that it is the keeper.
    Announce,
    SetAwake,
    /// Looks often, by itself.
    Poll,
    Park,
    TakeBarrier,
    /// Looks until every writer has ended that began before the barrier.
    Drain {
        barrier: i64,
    },
    Release,
    /// Sleeps until somebody rings.
    Sleep,
    /// On the way out: parks the bell that it kept.
    LeaveParked,
    LeaveLocks,
    /// Sets the bell to `awake` if no other daemon is there.
    LeaveAwake,
    /// Tells the others that they have to look for what it would have looked for.
    LeaveWord,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BellAnswer {
    Done,
    /// Another daemon is the keeper, or older writers still run.
    NotYet,
    Barrier(i64),
    /// A writer rang.
    Rung,
    /// Another daemon has become the keeper, or has left.
    Told,
    /// The time of the wait is over.
    Over,
}

/// How many changes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    Calm,
    Steady,
    Rush,
}

impl BellStep {
    /// The step that is taken in this traffic in the place of this one.
    pub fn in_traffic(self, traffic: Traffic) -> BellStep {
        match (self, traffic) {
            (BellStep::Sleep, Traffic::Rush) => BellStep::KeepAwake,
            (BellStep::Drain { .. }, Traffic::Rush) => BellStep::Announce,
            (BellStep::Poll, Traffic::Calm) => BellStep::Park,
            _ => self,
        }
    }

    /// The step after this one.
    pub fn next(self, answer: BellAnswer) -> BellStep {
        use BellAnswer::{Barrier, NotYet, Rung};
        match (self, answer) {
            (BellStep::KeepParked | BellStep::KeepAwake, NotYet) => BellStep::StandBy,
            (BellStep::Away | BellStep::StandBy, _) => BellStep::KeepParked,
            (BellStep::KeepParked, _) => BellStep::Park,
            (BellStep::KeepAwake, _) => BellStep::Announce,
            (BellStep::Announce, _) => BellStep::SetAwake,
            (BellStep::SetAwake | BellStep::Poll, _) => BellStep::Poll,
            (BellStep::TakeBarrier, Barrier(barrier)) => BellStep::Drain { barrier },
            (BellStep::Park | BellStep::TakeBarrier, _) => BellStep::TakeBarrier,
            (BellStep::Drain { .. }, NotYet | Rung) => self,
            (BellStep::Drain { .. }, _) => BellStep::Release,
            (BellStep::Release, _) | (BellStep::Sleep, Rung) => BellStep::Sleep,
            // Who was told, or slept long, does not know any more whether there is a keeper.
            (BellStep::Sleep, _) => BellStep::KeepParked,
            (BellStep::LeaveParked, _) => BellStep::LeaveLocks,
            (BellStep::LeaveLocks, _) => BellStep::LeaveAwake,
            (BellStep::LeaveAwake, _) => BellStep::LeaveWord,
            (BellStep::LeaveWord, _) => BellStep::Away,
        }
    }

    /// The first step on the way out.
    pub fn leaving(self) -> BellStep {
        match self {
            BellStep::Away => BellStep::Away,
            BellStep::KeepParked | BellStep::KeepAwake | BellStep::StandBy | BellStep::Sleep => {
                BellStep::LeaveLocks
            }
            _ => BellStep::LeaveParked,
        }
    }
}
