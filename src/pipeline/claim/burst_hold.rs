//! Holds storms: a restored backup or a program gone wild changes more entities of a watch
//! than anybody would change on purpose. Their messages wait for a person to decide, with one log line
//! and one metric. Storms of one transaction: see large_transaction.
//!
//! Too many within a minute is noticed when the limit is passed, not before: what has left by then
//! has left. What still waits joins the hold.
//!
//! Holds are rows, so another daemon, or this one after a restart, goes on with the same hold. What
//! changed within the last minute is counted in this process only.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::limit::burst::BurstWindow;
use crate::domain::value::change::{NetChange, SetAside};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::counters;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::blockers::Blockers;
use crate::postgres::queries;

/// A hold that one claim opened; it is logged after the commit.
#[derive(Clone, Debug)]
pub struct NewHold {
    pub hold_id: i64,
    pub watch: String,
    pub reason: String,
}

/// What claim remembers of the last minute.
#[derive(Default)]
pub struct StormGuard {
    bursts: HashMap<String, BurstWindow>,
}

impl StormGuard {
    /// Too many new messages of a watch within a minute: all that are to be opened now join a hold,
    /// and those that wait already. What was decided about as a large
    /// transaction does not count.
    pub async fn burst(
        &mut self,
        tx: &Transaction<'_>,
        context: &Context,
        blockers: &Blockers,
        watch: &str,
        nets: &mut [NetChange],
    ) -> Result<Option<BurstHold>, StageError> {
        let limit = context.config.storm_of(watch).minute;
        if limit == 0 {
            return Ok(None);
        }
        let burst = self.bursts.entry(watch.to_owned()).or_default();
        // All of them join the window, also those after the one that passes the limit.
        let mut since = None;
        for net in nets.iter().filter(|net| net.set_aside.is_none()) {
            since = since.or(burst.join(&net.entity_key, net.last_changed_at, limit));
        }
        let Some(since) = since else {
            return Ok(None);
        };
        let known = blockers.hold_of(watch);
        let opened = match known {
            Some(_) => None,
            None => {
                let reason = format!("more than {limit} rows were changed within a minute");
                Some(open(tx, context, watch, None, reason).await?)
            }
        };
        let Some(hold_id) = known.or(opened.as_ref().map(|new| new.hold_id)) else {
            return Ok(None);
        };
        for net in nets.iter_mut().filter(|net| net.set_aside.is_none()) {
            net.set_aside = Some(SetAside::Waits(hold_id));
        }
        let gathered = match opened.is_some() {
            true => queries::claim::storm_gather(tx, watch, since).await?,
            false => Vec::new(),
        };
        Ok(Some(BurstHold { hold_id, opened, gathered }))
    }
}

/// What too many changes within a minute came to.
pub struct BurstHold {
    pub hold_id: i64,
    pub opened: Option<NewHold>,
    /// Messages that waited already.
    pub gathered: Vec<i64>,
}

pub async fn open(
    tx: &Transaction<'_>,
    context: &Context,
    watch: &str,
    transaction: Option<i64>,
    reason: String,
) -> Result<NewHold, StageError> {
    let now: Timestamp = context.clock.now();
    let hold_id = queries::claim::storm_open(tx, watch, transaction, &reason, now).await?;
    Ok(NewHold { hold_id, watch: watch.to_owned(), reason })
}

/// The one log line and the one counter of a storm.
pub fn announce(hold: &NewHold) {
    tracing::error!(
        hold = hold.hold_id,
        watch = hold.watch,
        reason = hold.reason,
        "a storm: its messages are held; see `rowbell held`, then `rowbell approve` or `rowbell discard`"
    );
    counters::storms(&hold.watch).increment(1);
}
