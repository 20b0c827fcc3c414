//! Figures that were read once for all who look.

use std::time::Duration;

use jiff::Timestamp;

use crate::postgres::page::figure_rows::FigureRows;

/// How old they may be. They read the whole history, so that however many look, it is read no more often.
const FRESH: Duration = Duration::from_secs(60);

/// What came of the queries, in their order, and when.
pub struct ReadFigures {
    pub read_at: Timestamp,
    pub rows: Vec<FigureRows>,
}

impl ReadFigures {
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        let age = now.duration_since(self.read_at);
        !age.is_negative() && age.unsigned_abs() < FRESH
    }
}
