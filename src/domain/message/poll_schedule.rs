//! When the end of an accepted message is asked for: soon at first, then less and less often.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::message::state::State;

/// The rules of asking.
#[derive(Clone, Copy, Debug)]
pub struct PollSchedule {
    pub first_after: Duration,
    pub factor: f64,
    pub longest_pause: Duration,
    /// How long after the acceptance a delivered message is asked for its `read`.
    pub reads_for: Duration,
    /// How long after the acceptance nothing is asked any more.
    pub lost_after: Duration,
}

impl PollSchedule {
    /// The pause after the look number `count` (0: the acceptance itself). `random` in 0..1 spreads
    /// those that were accepted together.
    pub fn pause(&self, count: u32, random: f64) -> Duration {
        let growth = self.factor.powi(i32::try_from(count.min(1_000)).unwrap_or(i32::MAX));
        let longest = self.longest_pause.as_secs_f64();
        let pause = (self.first_after.as_secs_f64() * growth).min(longest);
        Duration::from_secs_f64(pause * (1.0 + random / 10.0))
    }

    /// Whether a message is asked for. One that failed is asked for once more: the provider's answer
    /// tells code and text, which its webhook may not, and what failed on one device may yet arrive
    /// on another.
    pub fn wants(&self, message: PollState, group: PollGroupState, now: Timestamp) -> bool {
        match message.state {
            State::Sent => true,
            State::Delivered => group.accepted_at + self.reads_for > now,
            State::Failed(_) => match (message.finished_at, group.asked_at) {
                (Some(failed), Some(asked)) => failed >= asked,
                _ => true,
            },
            _ => false,
        }
    }

    /// Whether messages have had no receipt for so long that polling ends.
    pub fn is_over(&self, group: PollGroupState, now: Timestamp) -> bool {
        group.accepted_at + self.lost_after <= now
    }
}

/// Where an accepted message stands.
#[derive(Clone, Copy, Debug)]
pub struct PollState {
    pub state: State,
    pub finished_at: Option<Timestamp>,
}

/// Messages that were accepted together.
#[derive(Clone, Copy, Debug)]
pub struct PollGroupState {
    pub accepted_at: Timestamp,
    pub asked_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::state::Failure;

    const ASKING: PollSchedule = PollSchedule {
        first_after: Duration::from_secs(30),
        factor: 2.0,
        longest_pause: Duration::from_secs(6 * 3_600),
        reads_for: Duration::from_secs(3_600),
        lost_after: Duration::from_secs(3 * 86_400),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())
    }

    #[test]
    fn pauses_grow_up_to_the_longest_and_some_twenty_questions_end_it() {
        let pauses: Vec<u64> = (0..12).map(|n| ASKING.pause(n, 0.0).as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600, 21600]);
        let mut asked = 0;
        let mut time = Duration::ZERO;
        while time < ASKING.lost_after {
            time += ASKING.pause(asked, 0.5);
            asked += 1;
        }
        assert_eq!(asked, 21);
        assert!(ASKING.pause(u32::MAX, 1.0) > ASKING.pause(20, 0.0), "spread, and no overflow");
    }

    #[test]
    fn what_has_ended_is_left_alone() {
        let group = |asked_at| PollGroupState { accepted_at: at(1_000), asked_at };
        let wants = |state, finished_at, asked_at, now| {
            ASKING.wants(PollState { state, finished_at }, group(asked_at), now)
        };
        let failed = State::Failed(Failure::Undeliverable);
        assert!(wants(State::Sent, None, Some(at(2_000)), at(90_000)));
        assert!(wants(State::Delivered, None, None, at(4_599)));
        assert!(!wants(State::Delivered, None, None, at(4_600)));
        assert!(!wants(State::Read, None, None, at(1_001)));
        assert!(wants(failed, Some(at(2_000)), Some(at(1_900)), at(3_000)), "once more");
        assert!(!wants(failed, Some(at(2_000)), Some(at(2_001)), at(3_000)), "and no more");
        assert!(!ASKING.is_over(group(None), at(1_000 + 3 * 86_400 - 1)));
        assert!(ASKING.is_over(group(None), at(1_000 + 3 * 86_400)));
    }
}
