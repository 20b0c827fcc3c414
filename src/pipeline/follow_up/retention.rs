//! retention: removes what is older than it needs to be.
//!
//! Takes messages and receipts older than `retention.personal` and removes recipients and words; takes those older than `retention.facts` and removes them altogether, with their attempts.
//! In small batches along the ids, which rise with time; skips what is open or locked by others, so that
//! nobody ever waits for it.
//!
//! If the process dies here, the next one goes on where this one was. Not promised: the day; what was
//! open or locked when its turn came goes when all is walked again, a week later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::{Progress, Stage, StageError, sleep};
use crate::postgres::outcome::replies;
use crate::postgres::queries;
use crate::postgres::queries::retention::RetentionTask;

/// Rows of one batch.
const BATCH: i64 = 500;

/// Between two batches: others come first.
const PAUSE: Duration = Duration::from_millis(100);

/// How often to look for what has grown old.
const EVERY: Duration = Duration::from_secs(3_600);

/// How long a reply is kept that answers no message of ours.
const UNJOINED: Duration = Duration::from_secs(3_600);

/// How often to begin from the first id, for what was open or locked the last time.
const ANEW_EVERY: Duration = Duration::from_secs(7 * 86_400);

/// Removes what has grown old.
pub struct Retention {
    context: Arc<Context>,
    open: VecDeque<Walk>,
    next_at: Timestamp,
}

/// One task on its way along the ids.
struct Walk {
    task: RetentionTask,
    above: i64,
    below: i64,
    began_at: Timestamp,
    done: i64,
}

impl Retention {
    pub fn new(context: Arc<Context>) -> Retention {
        let next_at = context.clock.now();
        Retention { context, open: VecDeque::new(), next_at }
    }
}

impl Stage for Retention {
    const NAME: &'static str = "retention";

    /// Works on one batch.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let now = self.context.clock.now();
        if self.open.is_empty() && now < self.next_at {
            return Ok(Progress::Idle);
        }
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        if self.open.is_empty() {
            let opened = self.begin(&tx, now).await?;
            tx.commit().await?;
            self.open = opened;
            self.next_at = now + EVERY;
            let has_work = !self.open.is_empty();
            return Ok(if has_work { Progress::Worked } else { Progress::Idle });
        }
        let Some(walk) = self.open.front_mut() else { return Ok(Progress::Idle) };
        let batch =
            queries::retention::retention_batch(&tx, walk.task, walk.above, walk.below, BATCH, now)
                .await?;
        // Where nothing is left, everything below the limit is done.
        let done_to = batch.last_id.unwrap_or(walk.below - 1);
        queries::retention::retention_write(&tx, walk.task, done_to, walk.began_at, now).await?;
        tx.commit().await?;
        walk.above = done_to;
        walk.done += batch.done;
        if batch.last_id.is_none() {
            if walk.done > 0 {
                tracing::info!(task = walk.task.into_str(), rows = walk.done, "retention went on");
            }
            self.open.pop_front();
        }
        Ok(Progress::Worked)
    }

    async fn rest(&mut self, last: Progress, stop: &CancellationToken) {
        let pause = match last {
            Progress::Worked => PAUSE,
            Progress::Idle => EVERY / 60,
        };
        sleep(pause, stop).await;
    }
}

impl Retention {
    /// The walks that are due now. Changes that nobody will take, and opt-out requests, are few: they go at once.
    async fn begin(
        &self,
        tx: &Transaction<'_>,
        now: Timestamp,
    ) -> Result<VecDeque<Walk>, StageError> {
        let settings = &self.context.config.retention;
        replies::reply_drop(tx, now - UNJOINED).await?;
        if let Some(personal) = settings.personal {
            let watches = self.context.watch_names();
            queries::retention::retention_changes(tx, now - personal, &watches, BATCH).await?;
            queries::retention::retention_opt_out_requests(tx, now - personal, BATCH).await?;
            replies::reply_redact(tx, now - personal, BATCH).await?;
        }
        let tasks = [
            (RetentionTask::RemoveMessages, settings.facts),
            (RetentionTask::RemoveReceipts, settings.facts),
            (RetentionTask::RedactMessages, settings.personal),
            (RetentionTask::RedactReceipts, settings.personal),
        ];
        let mut open = VecDeque::new();
        for (task, age) in tasks {
            let Some(age) = age else { continue };
            let below = queries::retention::retention_limit(tx, task, now - age).await?;
            let (above, began_at) = match queries::retention::retention_read(tx, task).await? {
                Some((done_to, began_at)) if now < began_at + ANEW_EVERY => (done_to, began_at),
                _ => (0, now),
            };
            if above + 1 < below {
                open.push_back(Walk { task, above, below, began_at, done: 0 });
            }
        }
        Ok(open)
    }
}
