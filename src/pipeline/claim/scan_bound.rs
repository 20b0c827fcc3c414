//! Keeps the lower bounds of the claim's scan, one for each watch.
//!
//! Deleted changes leave entries in the index that an old snapshot of somebody else can
//! keep alive for hours, and what a large transaction changed stays where it is until it is decided, so a claim must not
//! scan from the beginning. It scans above a bound, and
//! the bound may only pass ids that can no longer appear. A trigger takes its change id after its
//! transaction id, so every id given out before a claim began belongs to a transaction older than
//! the claim's own. Once all transactions older than that have ended, and one more scan took
//! whatever they left, the bound moves up. A scan from the beginning, now and then, proves it right.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::postgres::queries::claim::ClaimBound;

/// How often the claim scans from the beginning.
const FULL_SCAN_EVERY: Duration = Duration::from_secs(60);

/// The lower bounds of all watches.
#[derive(Debug, Default)]
pub struct ScanBounds {
    watches: HashMap<String, ScanBound>,
    full_scan_at: Option<Timestamp>,
}

/// The lower bound of one watch, and the next one with the transaction it waits for.
#[derive(Clone, Copy, Debug, Default)]
struct ScanBound {
    above: i64,
    next: Option<(i64, i64)>,
}

/// What one scan came to.
#[derive(Clone, Copy, Debug)]
pub struct Scanned<'a> {
    /// The last change that it took of each watch.
    pub reached: &'a HashMap<String, i64>,
    /// Watches of which it left nothing but what was set aside.
    pub exhausted: &'a [String],
    /// It took as many as it could.
    pub is_full: bool,
    /// The transaction of the claim.
    pub claimed_by: i64,
}

impl ScanBounds {
    /// Starts over now and then.
    pub fn begin(&mut self, now: Timestamp) {
        if self.full_scan_at.is_none_or(|at| at <= now) {
            self.watches.clear();
            self.full_scan_at = Some(now + FULL_SCAN_EVERY);
        }
    }

    /// The bounds of watches, in their order.
    pub fn above(&self, watches: &[&str]) -> Vec<i64> {
        watches.iter().map(|watch| self.of(watch)).collect()
    }

    pub fn of(&self, watch: &str) -> i64 {
        self.watches.get(watch).map_or(0, |bound| bound.above)
    }

    /// After a scan of some watches: whether it brought a bound further.
    pub fn scanned(&mut self, bound: &ClaimBound, watches: &[&str], scanned: Scanned<'_>) -> bool {
        let mut is_further = false;
        for watch in watches {
            // What a large transaction changed is passed while it is worked off, not walked through with each part of it.
            let is_exhausted = || scanned.exhausted.iter().any(|exhausted| exhausted == watch);
            let reached = match !scanned.is_full || is_exhausted() {
                true => Some(bound.given_out),
                false => scanned.reached.get(*watch).copied(),
            };
            // Of a watch whose turn did not come nothing is known.
            let Some(reached) = reached else { continue };
            let own = self.watches.entry((*watch).to_owned()).or_default();
            match own.next {
                Some((next, claimed_by))
                    if bound.oldest_running > claimed_by && reached >= next =>
                {
                    *own = ScanBound { above: next, next: Some((reached, scanned.claimed_by)) };
                    is_further = true;
                }
                None => {
                    own.next = Some((reached, scanned.claimed_by));
                    is_further = true;
                }
                Some(_) => {}
            }
        }
        is_further
    }
}
