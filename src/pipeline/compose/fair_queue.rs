//! Orders what compose takes of one channel: the watches in turn, each from a lower bound.
//!
//! Rows that have left leave entries in the index that an old snapshot of somebody else can keep alive
//! for hours, so that no scan must begin where the last one did. Each watch has its own bound, and
//! where it stands in turn; a scan from the beginning, now and then, proves the bounds right and finds
//! messages of watches that are not in the configuration any more.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::domain::limit::fair_share::FairShares;
use crate::domain::message::message::Message;
use crate::pipeline::context::context::Context;
use crate::postgres::queries::compose::WatchTurn;

/// How often the scan for due messages starts from the beginning.
const FULL_SCAN_EVERY: Duration = Duration::from_secs(5);

/// A key of the queue, in the order in which messages of a watch leave.
type Place = (Timestamp, i64);

const BEGINNING: Place = (Timestamp::UNIX_EPOCH, 0);

/// The watches of one channel.
pub struct FairQueue {
    /// Their bounds.
    above: BTreeMap<String, Place>,
    /// What one message costs a watch: one divided by its share.
    costs: HashMap<String, f64>,
    shares: FairShares,
    full_scan_at: Timestamp,
}

impl FairQueue {
    pub fn new(context: &Context, channel: &str) -> FairQueue {
        let watches = of_channel(&context.config, channel);
        FairQueue {
            costs: watches.iter().map(|(name, share)| (name.clone(), cost(*share))).collect(),
            above: watches.into_iter().map(|(name, _)| (name, BEGINNING)).collect(),
            shares: FairShares::default(),
            full_scan_at: context.clock.steady(),
        }
    }

    /// Whether it is time for a scan from the beginning; `now` is steady.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.full_scan_at
    }

    /// From the beginning, with whatever watches have messages there.
    pub fn begin(&mut self, now: Timestamp, found: Vec<String>) {
        self.full_scan_at = now + FULL_SCAN_EVERY;
        self.above.values_mut().for_each(|above| *above = BEGINNING);
        self.above.extend(found.into_iter().map(|watch| (watch, BEGINNING)));
    }

    /// Where each watch goes on, but for those that are paused.
    pub fn next(&self, paused: &[String]) -> Vec<WatchTurn<'_>> {
        let mut turns = Vec::with_capacity(self.above.len());
        for (watch, above) in self.above.iter().filter(|(watch, _)| !paused.contains(watch)) {
            let (start, cost) = (self.shares.start(watch), self.cost(watch));
            turns.push(WatchTurn { watch, above: *above, start, cost });
        }
        turns
    }

    fn cost(&self, watch: &str) -> f64 {
        self.costs.get(watch).copied().unwrap_or(1.0)
    }

    /// The last place of each watch among these.
    pub fn reached(due: &[Message]) -> Vec<(String, Place)> {
        let mut reached: Vec<(String, Place)> = Vec::new();
        for message in due {
            let Some(message_id) = message.message_id else { continue };
            let place = (message.due_at, message_id);
            match reached.iter_mut().find(|(watch, _)| *watch == message.watch) {
                Some((_, last)) => *last = place.max(*last),
                None => reached.push((message.watch.clone(), place)),
            }
        }
        reached
    }

    /// After the commit: each watch goes on from here, and so many of its messages leave.
    pub fn advance(&mut self, reached: Vec<(String, Place)>, served: &[(String, usize)]) {
        self.above.extend(reached);
        let costs: Vec<f64> = served.iter().map(|(watch, _)| self.cost(watch)).collect();
        let served = served.iter().zip(costs);
        self.shares.served(served.map(|((watch, count), cost)| (watch.as_str(), *count, cost)));
    }
}

fn cost(share: u32) -> f64 {
    1.0 / f64::from(share.max(1))
}

/// Watches that send on the channel, first or as a fallback, with their shares.
fn of_channel(config: &Config, channel: &str) -> Vec<(String, u32)> {
    let sends = |watch: &crate::config::Watch| {
        watch.channel == channel || watch.fallback.iter().any(|step| step.channel == channel)
    };
    let watches = config.watch.iter().filter(|(_, watch)| sends(watch));
    watches.map(|(name, watch)| (name.clone(), watch.share)).collect()
}
