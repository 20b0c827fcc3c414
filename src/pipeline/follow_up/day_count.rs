//! day_count: counts the messages of each day, for figures that are read in milliseconds and outlive the messages.
//!
//! Looks every minute of which days something may have changed: days with new messages, messages in the queue, attempts and
//! receipts since the last look, and those with messages that had come to no end. Counts these days anew, each in a
//! transaction of its own, so nothing is written for a single message. Never works more than a fiftieth of the time.
//!
//! If the process dies here, the day that it counted stays as it was, and the next daemon counts it. A day stays as it is once
//! retention takes messages of it. Not promised: the minute; who changes the clock of the site (`recipient.time_zone`) has
//! days counted by the old clock as far back as messages are missing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{Progress, Stage, StageError, sleep};
use crate::postgres::report::days::{self, DayScope};

/// How often to look.
const EVERY: Duration = Duration::from_secs(60);

/// What was being written at the last look was committed so much later, at most.
const OVERLAP: Duration = Duration::from_secs(600);

/// Between two days: others come first.
const PAUSE: Duration = Duration::from_millis(100);

/// Rests so many times as long as it worked.
const REST: u32 = 50;

/// Counts days.
pub struct DayCount {
    context: Arc<Context>,
    look_at: Timestamp,
    /// How long it has worked since the last look.
    worked: Duration,
    is_counting: bool,
}

impl DayCount {
    pub fn new(context: Arc<Context>) -> DayCount {
        let look_at = context.clock.steady();
        DayCount { context, look_at, worked: Duration::ZERO, is_counting: false }
    }
}

impl Stage for DayCount {
    const NAME: &'static str = "day_count";

    /// Looks, or counts one day.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let began = self.context.clock.steady();
        if !self.is_counting {
            if began < self.look_at {
                return Ok(Progress::Idle);
            }
            self.look().await?;
        }
        self.is_counting = self.count().await?;
        let ended = self.context.clock.steady();
        self.worked += Duration::try_from(ended.duration_since(began)).unwrap_or_default();
        if self.is_counting {
            return Ok(Progress::Worked);
        }
        self.look_at = ended + EVERY.max(self.worked * REST);
        self.worked = Duration::ZERO;
        Ok(Progress::Idle)
    }

    async fn rest(&mut self, last: Progress, stop: &CancellationToken) {
        let left = self.look_at.duration_since(self.context.clock.steady());
        let pause = match last {
            Progress::Worked => PAUSE,
            Progress::Idle => Duration::try_from(left).unwrap_or_default(),
        };
        sleep(pause, stop).await;
    }
}

impl DayCount {
    fn scope(&self, now: Timestamp) -> DayScope<'_> {
        let config = &self.context.config;
        let time_zone = match config.recipient.time_zone.as_str() {
            "" => "UTC",
            zone => zone,
        };
        DayScope { time_zone, whole_since: config.retention.facts.map(|facts| now - facts) }
    }

    /// Of which days something may have changed. Of several daemons one looks.
    async fn look(&self) -> Result<(), StageError> {
        let now = self.context.clock.now();
        let scope = self.scope(now);
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        if let Some(last) = days::day_begin(&tx, now - EVERY / 2).await? {
            let is_same = last.time_zone.as_deref() == Some(scope.time_zone);
            if !is_same {
                days::day_forget(&tx, scope).await?;
            }
            let since = last.looked_at.filter(|_| is_same).map(|looked_at| looked_at - OVERLAP);
            days::day_touch(&tx, scope, since).await?;
            days::day_looked(&tx, now, scope.time_zone).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Counts a day. False: there is none left.
    async fn count(&self) -> Result<bool, StageError> {
        let now = self.context.clock.now();
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        let Some(day) = days::day_next(&tx).await? else { return Ok(false) };
        let time_zone = self.scope(now).time_zone;
        days::day_count(&tx, &day, time_zone, now).await?;
        days::day_measure(&tx, &day, time_zone).await?;
        tx.commit().await?;
        Ok(true)
    }
}
