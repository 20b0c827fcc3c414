//! Keeps the lower bound of the claim's scan.
//!
//! Deleted changes leave entries in the index that an old snapshot of somebody else can
//! keep alive for hours, so a claim must not scan from the beginning. It scans above a bound, and
//! the bound may only pass ids that can no longer appear. A trigger takes its change id after its
//! transaction id, so every id given out before a claim began belongs to a transaction older than
//! the claim's own. Once all transactions older than that have ended, and one more scan took
//! whatever they left, the bound moves up. A scan from the beginning, now and then, proves it right.

use std::time::Duration;

use jiff::Timestamp;

use crate::postgres::queries::claim::ClaimBound;
use crate::postgres::queries::claimed_batch::ClaimedBatch;

/// How often the claim scans from the beginning.
const FULL_SCAN_EVERY: Duration = Duration::from_secs(60);

/// The lower bound of the scan, and the next one with the transaction it waits for.
#[derive(Debug, Default)]
pub struct ScanBound {
    pub above: i64,
    next: Option<(i64, i64)>,
    full_scan_at: Option<Timestamp>,
}

impl ScanBound {
    /// Starts over now and then.
    pub fn begin(&mut self, now: Timestamp) {
        if self.full_scan_at.is_none_or(|at| at <= now) {
            *self = ScanBound { full_scan_at: Some(now + FULL_SCAN_EVERY), ..ScanBound::default() };
        }
    }

    /// After a scan that took `batch`, of at most `limit` changes.
    pub fn scanned(&mut self, bound: ClaimBound, batch: &ClaimedBatch, limit: usize) {
        let reached = if batch.count < limit { bound.given_out } else { batch.last_change_id };
        match self.next {
            Some((next, claimed_by)) if bound.oldest_running > claimed_by && reached >= next => {
                self.above = next;
                self.next = Some((reached, batch.claimed_by));
            }
            None => self.next = Some((reached, batch.claimed_by)),
            Some(_) => {}
        }
    }
}
