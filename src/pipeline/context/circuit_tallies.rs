//! Counts the outcomes of each circuit in this process, and remembers which messages are tried and which opt-outs
//! are not believed yet. After a restart it begins anew.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::Timestamp;

use crate::config;
use crate::domain::limit::circuit::{CircuitKey, ErrorBurst, ErrorTally, TripRules};

/// What this process has counted.
pub struct CircuitTallies {
    pub settings: config::CircuitSettings,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    tallies: HashMap<CircuitKey, ErrorTally>,
    /// Messages that are tried, and what for.
    probes: HashMap<i64, Vec<CircuitKey>>,
    opt_outs: Vec<OptOut>,
}

/// An opt-out that is believed once its window is over.
struct OptOut {
    channel: String,
    message_id: i64,
    at: Timestamp,
}

impl CircuitTallies {
    pub fn new(settings: config::CircuitSettings) -> CircuitTallies {
        CircuitTallies { settings, counted: Mutex::default() }
    }

    fn rules(&self) -> TripRules {
        let config::CircuitSettings { window, minimum, share, .. } = self.settings;
        TripRules { window, minimum, share }
    }

    fn counted(&self) -> std::sync::MutexGuard<'_, Counted> {
        // Counts are right at every line; a panic elsewhere does not spoil them.
        self.counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// This message is tried; what becomes of it decides about the circuit.
    pub fn expect(&self, message_id: i64, key: CircuitKey) {
        self.counted().probes.entry(message_id).or_default().push(key);
    }

    /// Counts a good outcome.
    pub fn good(&self, keys: &[CircuitKey], now: Timestamp) {
        let counted = &mut self.counted().tallies;
        for key in keys {
            match counted.get_mut(key) {
                Some(tally) => tally.good(now, 1),
                None => counted.entry(key.clone()).or_default().good(now, 1),
            }
        }
    }

    /// Counts a bad outcome; a burst of them, once there are enough. `refused` is a message that the error failed.
    pub fn bad(
        &self,
        key: &CircuitKey,
        now: Timestamp,
        refused: Option<i64>,
    ) -> Option<ErrorBurst> {
        let tallies = &mut self.counted().tallies;
        let tally = tallies.entry(key.clone()).or_default();
        tally.bad(now, refused);
        tally.burst(now, self.rules())
    }

    /// The circuits that this message was tried for; they expect nothing of it any more.
    pub fn probed(&self, message_id: i64) -> Vec<CircuitKey> {
        self.counted().probes.remove(&message_id).unwrap_or_default()
    }

    /// Keeps an opt-out until its window is over.
    pub fn add_opt_out(&self, channel: String, message_id: i64, at: Timestamp) {
        self.counted().opt_outs.push(OptOut { channel, message_id, at });
    }

    /// Forgets the opt-outs of a channel that are not believed yet.
    pub fn drop_opt_outs(&self, channel: &str) {
        self.counted().opt_outs.retain(|opt_out| opt_out.channel != channel);
    }

    /// Messages whose recipients opted out, and channels with too many of them at once.
    pub fn ripe_opt_outs(&self, now: Timestamp) -> (Vec<i64>, Vec<(String, usize)>) {
        let opt_outs = &mut self.counted().opt_outs;
        let is_ripe = |opt_out: &OptOut| opt_out.at + self.settings.window <= now;
        if !opt_outs.iter().any(is_ripe) {
            return (Vec::new(), Vec::new());
        }
        let mut counts: HashMap<String, usize> = HashMap::new();
        opt_outs.iter().for_each(|o| *counts.entry(o.channel.clone()).or_default() += 1);
        let many = |count: usize| count >= self.settings.minimum as usize;
        let too_many: Vec<(String, usize)> =
            counts.into_iter().filter(|(_, count)| many(*count)).collect();
        opt_outs.retain(|o| too_many.iter().all(|(channel, _)| *channel != o.channel));
        let ripe = opt_outs.iter().filter(|o| is_ripe(o)).map(|o| o.message_id).collect();
        opt_outs.retain(|o| !is_ripe(o));
        (ripe, too_many)
    }
}
