//! What is still to happen: receipts that wait for their time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

use crate::sandbox::state::store::Stage;

/// A receipt that is due at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub at: Instant,
    /// The number of the message.
    pub number: u64,
    pub stage: Stage,
    /// Posted twice.
    pub twice: bool,
}

/// Receipts in the order in which they fall due; equal times keep the order of arrival.
#[derive(Default)]
pub struct Schedule {
    heap: BinaryHeap<Reverse<Entry>>,
    counter: u64,
}

struct Entry {
    order: (Instant, u64),
    due: Due,
}

impl Schedule {
    pub fn add(&mut self, due: Due) {
        self.counter += 1;
        let order = (due.at, self.counter);
        self.heap.push(Reverse(Entry { order, due }));
    }

    /// When the first receipt is due.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.due.at)
    }

    /// Takes the first receipt if its time has come.
    pub fn take(&mut self, now: Instant) -> Option<Due> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry.due)
    }

    pub fn len(&self) -> u64 {
        self.heap.len() as u64
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}
