//! Counts the outcomes of each circuit in this process, and remembers which messages are tried. After a restart it
//! begins anew.

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

    /// Counts a bad outcome; a burst of them, once there are enough. `refused` is the message that the error failed.
    pub fn bad(&self, key: &CircuitKey, now: Timestamp, refused: i64) -> Option<ErrorBurst> {
        let tallies = &mut self.counted().tallies;
        let tally = tallies.entry(key.clone()).or_default();
        tally.bad(now, refused);
        tally.burst(now, self.rules())
    }

    /// The circuits that this message was tried for; they expect nothing of it any more.
    pub fn probed(&self, message_id: i64) -> Vec<CircuitKey> {
        self.counted().probes.remove(&message_id).unwrap_or_default()
    }
}
