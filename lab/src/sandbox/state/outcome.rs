//! Phones with a fixed outcome, and the plan of receipts that follows from an outcome.

use rand::RngExt;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use crate::sandbox::options::{Delay, ReceiptOptions};
use crate::sandbox::state::chance::happens;
use crate::sandbox::state::store::Stage;

/// What becomes of a message to a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As `ReceiptOptions` says.
    Ordinary,
    /// Refused with HTTP 200, `sent: false` and an error object.
    NotOnWhatsapp,
    /// Accepted, then failed with 131026.
    Undeliverable,
    /// Accepted, then failed with 131050: the customer stopped marketing messages.
    OptedOut,
    /// Accepted, then failed with 130472.
    Experiment,
    /// Accepted, then failed with 131049: Meta chose not to deliver.
    Unhealthy,
    /// `sent` and nothing more: the phone is off, or its owner blocked the business.
    PhoneOff,
    /// Accepted, and no receipt ever.
    Silent,
    /// `sent`, then `read`.
    ReadOnly,
    /// `failed` (131026), then `delivered`.
    FailedThenDelivered,
    /// `delivered`, then `failed` (131026).
    DeliveredThenFailed,
    /// Refused with 131056, the pair limit.
    PairLimited,
    /// Accepted as a job: the answer has a `jobId` and neither `sent` nor `id`.
    Queued,
}

/// The first phone of the reserved block; +1 907 555 01xx is never given to a subscriber.
const RESERVED: u64 = 19_075_550_101;
const IN_ORDER: [Outcome; 12] = [
    Outcome::NotOnWhatsapp,
    Outcome::Undeliverable,
    Outcome::OptedOut,
    Outcome::Experiment,
    Outcome::Unhealthy,
    Outcome::PhoneOff,
    Outcome::Silent,
    Outcome::ReadOnly,
    Outcome::FailedThenDelivered,
    Outcome::DeliveredThenFailed,
    Outcome::PairLimited,
    Outcome::Queued,
];

impl Outcome {
    /// The outcome that every sandbox has for a phone: `19075550101` is not on WhatsApp,
    /// `19075550102` is undeliverable, and so on in the order of this enum.
    pub fn reserved(phone: u64) -> Outcome {
        let position = phone.checked_sub(RESERVED);
        position
            .and_then(|position| IN_ORDER.get(usize::try_from(position).ok()?))
            .copied()
            .unwrap_or(Outcome::Ordinary)
    }

    /// The reserved phone with this outcome, as digits; none for `Ordinary`.
    pub fn phone(self) -> Option<String> {
        let position = IN_ORDER.iter().position(|outcome| *outcome == self)?;
        Some((RESERVED + position as u64).to_string())
    }

    fn failure(self) -> Option<i32> {
        match self {
            Outcome::Undeliverable => Some(131026),
            Outcome::OptedOut => Some(131050),
            Outcome::Experiment => Some(130472),
            Outcome::Unhealthy => Some(131049),
            _ => None,
        }
    }
}

/// The receipts of one message, each with its delay in milliseconds; at most three. What would reach the
/// phone after its time to live does not.
pub fn plan(
    outcome: Outcome,
    options: &ReceiptOptions,
    time_to_live: Option<i64>,
    rng: &mut StdRng,
) -> Vec<(u64, Stage)> {
    let stages = stages(outcome, options, rng);
    let mut plan: Vec<(u64, Stage)> = Vec::with_capacity(stages.len());
    let mut earliest = 0;
    for (delay, stage) in stages {
        // A receipt with a shorter delay than the one before comes together with it.
        earliest = draw(delay, rng).max(earliest);
        plan.push((earliest, stage));
    }
    if happens(options.reversed_share, rng) {
        reverse(&mut plan);
    }
    if happens(options.late_share, rng) {
        let late = draw(options.late, rng);
        plan.iter_mut().for_each(|(delay, _)| *delay += late);
    }
    if let Some(seconds) = time_to_live.and_then(|seconds| u64::try_from(seconds).ok()) {
        let reaches = |delay: u64| delay <= seconds.saturating_mul(1_000);
        let in_time =
            plan.iter().any(|(delay, stage)| *stage == Stage::Delivered && reaches(*delay));
        plan.retain(|(delay, stage)| match stage {
            Stage::Delivered => reaches(*delay),
            Stage::Read => in_time || reaches(*delay),
            _ => true,
        });
    }
    plan
}

fn stages(outcome: Outcome, options: &ReceiptOptions, rng: &mut StdRng) -> Vec<(Delay, Stage)> {
    let sent = options.sent.map(|delay| (delay, Stage::Sent));
    let delivered = options.delivered.map(|delay| (delay, Stage::Delivered));
    let read = options.read.map(|delay| (delay, Stage::Read));
    let failed = |code| options.delivered.map(|delay| (delay, Stage::Failed(code)));
    let stages = match outcome {
        Outcome::Silent | Outcome::NotOnWhatsapp | Outcome::PairLimited => [None, None, None],
        Outcome::PhoneOff => [sent, None, None],
        Outcome::ReadOnly => {
            let read = read.or(options.delivered.map(|delay| (delay, Stage::Read)));
            [sent, None, read]
        }
        Outcome::FailedThenDelivered => [sent, failed(131026), delivered],
        Outcome::DeliveredThenFailed => [sent, delivered, failed(131026)],
        Outcome::Ordinary | Outcome::Queued if happens(options.failed_share, rng) => {
            [sent, failed(131026), None]
        }
        Outcome::Ordinary | Outcome::Queued => {
            let read = read.filter(|_| happens(options.read_share, rng));
            let skips = read.is_some() && happens(options.skip_delivered_share, rng);
            [sent, delivered.filter(|_| !skips), read]
        }
        fails => [sent, fails.failure().and_then(failed), None],
    };
    stages.into_iter().flatten().collect()
}

/// The stages keep their order in the list and swap their delays.
fn reverse(plan: &mut [(u64, Stage)]) {
    let mut delays: Vec<u64> = plan.iter().map(|(delay, _)| *delay).collect();
    // Equal delays would leave the order as it was.
    for position in 1..delays.len() {
        delays[position] = delays[position].max(delays[position - 1] + 1);
    }
    for ((delay, _), reversed) in plan.iter_mut().zip(delays.into_iter().rev()) {
        *delay = reversed;
    }
}

fn draw(delay: Delay, rng: &mut StdRng) -> u64 {
    if delay.min_ms >= delay.max_ms {
        return delay.min_ms;
    }
    rng.random_range(delay.min_ms..=delay.max_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    /// A phone that is off for a minute.
    #[test]
    fn what_has_run_out_never_reaches_the_phone() {
        let options = ReceiptOptions {
            delivered: Some(Delay::of(60_000)),
            read: Some(Delay::of(90_000)),
            read_share: 1.0,
            ..ReceiptOptions::default()
        };
        let stages = |time_to_live| {
            let mut rng = StdRng::seed_from_u64(1);
            let plan = plan(Outcome::Ordinary, &options, time_to_live, &mut rng);
            plan.into_iter().map(|(_, stage)| stage).collect::<Vec<_>>()
        };
        let all = [Stage::Sent, Stage::Delivered, Stage::Read];
        assert_eq!(stages(Some(30)), [Stage::Sent]);
        // It is read when its reader likes, once it is there.
        assert_eq!(stages(Some(60)), all);
        assert_eq!(stages(Some(-1)), all);
        assert_eq!(stages(None), all);
    }
}
