//! What of the watches cannot be used now. Each fault is said once when it comes and once when it is over: it is
//! over when the thing has done its work, not when it looks as if it could.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;

use crate::domain::notice;
use crate::postgres::capture::proof::WatchPart;

/// The faults of all watches.
#[derive(Default)]
pub struct WatchFaults {
    known: RwLock<BTreeMap<(String, WatchPart), FaultState>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FaultState {
    /// It is left alone until then.
    Until(Timestamp),
    /// It is being tried again.
    Tried,
}

impl WatchFaults {
    /// Begins with watches of which no fault is known.
    pub fn new<'a>(watches: impl Iterator<Item = &'a str>) -> WatchFaults {
        watches.for_each(|watch| gauge(watch, 0));
        WatchFaults::default()
    }

    /// A part of a watch failed, and is left alone until then.
    pub fn failed(&self, watch: &str, part: WatchPart, why: &str, until: Timestamp) {
        let key = (watch.to_owned(), part.clone());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_known = known.insert(key, FaultState::Until(until)).is_some();
        gauge(watch, of(&known, watch).count());
        drop(known);
        match part {
            _ if is_known => {}
            WatchPart::Whole => {
                tracing::error!(target: notice::WATCH_UNUSABLE, watch, error = why, "watch cannot be used; its changes are kept");
            }
            WatchPart::Lookup(column) => tracing::error!(target: notice::LOOKUP_UNUSABLE,
                watch,
                column,
                error = why,
                "lookup cannot be used; its column is told without names"
            ),
        }
    }

    /// A part of a watch did its work.
    pub fn works(&self, watch: &str, part: &WatchPart) {
        if self.read().is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let was_known = known.remove(&(watch.to_owned(), part.clone())).is_some();
        gauge(watch, of(&known, watch).count());
        drop(known);
        match part {
            _ if !was_known => {}
            WatchPart::Whole => tracing::info!(watch, "watch works again"),
            WatchPart::Lookup(column) => tracing::info!(watch, column, "lookup works again"),
        }
    }

    /// Lets the label queries of a watch be tried again whose time has come. Whether there are any.
    pub fn try_again(&self, watch: &str, now: Timestamp) -> bool {
        let is_due = |state: FaultState| matches!(state, FaultState::Until(until) if until <= now);
        if !of(&self.read(), watch).any(|(part, state)| *part != WatchPart::Whole && is_due(state))
        {
            return false;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for ((of, _), state) in known.iter_mut() {
            if of == watch && is_due(*state) {
                *state = FaultState::Tried;
            }
        }
        true
    }

    /// Columns of a watch whose label queries are left alone now.
    pub fn failed_lookups(&self, watch: &str) -> BTreeSet<String> {
        let known = self.read();
        let failed = of(&known, watch).filter(|(_, state)| *state != FaultState::Tried);
        let column = |part: &WatchPart| match part {
            WatchPart::Lookup(column) => Some(column.clone()),
            WatchPart::Whole => None,
        };
        failed.filter_map(|(part, _)| column(part)).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<(String, WatchPart), FaultState>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of<'a>(
    known: &'a BTreeMap<(String, WatchPart), FaultState>,
    watch: &'a str,
) -> impl Iterator<Item = (&'a WatchPart, FaultState)> {
    known.iter().filter(move |((of, _), _)| of == watch).map(|((_, part), state)| (part, *state))
}

fn gauge(watch: &str, faults: usize) {
    // Nobody has so many lookups that a float could not count them.
    let faults = u32::try_from(faults).map_or(f64::MAX, f64::from);
    metrics::gauge!("rowbell_watch_faults", "watch" => watch.to_owned()).set(faults);
}
