//! Holds storms: a restored backup or a program gone wild changes more entities of a watch
//! than anybody would change on purpose. Their messages wait for a person to decide, with one log line
//! and one metric. Storms of one transaction: see large_transaction.
//!
//! Too many within a minute is noticed when the limit is passed, not before: what has left by then
//! has left. What still waits joins the hold.
//!
//! Holds are rows, so another daemon, or this one after a restart, goes on with the same hold. What
//! changed within the last minute is counted for all daemons together: one that does not send on every channel, or has
//! not until now, reads before it counts which messages others have opened. A daemon that is alone reads that once.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::limit::burst::{BurstWindow, WINDOW};
use crate::domain::message::message::Message;
use crate::domain::notice;
use crate::domain::value::change::{NetChange, SetAside};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::counters;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::blockers::Blockers;
use crate::postgres::queries;
use crate::postgres::queries::claim::RecentEntity;

/// A hold that one claim opened; it is logged after the commit.
#[derive(Clone, Debug)]
pub struct NewHold {
    pub hold_id: i64,
    pub watch: String,
    pub reason: String,
}

/// How many messages of others are looked at, at most.
const LOOK_BACK: i64 = 20_000;

/// What claim remembers of the last minute.
#[derive(Default)]
pub struct StormGuard {
    bursts: HashMap<String, BurstWindow>,
    /// The last message that this process opened: what others had opened by then is counted.
    seen: Option<i64>,
    /// The rights to send that this process had when it counted last.
    epochs: Vec<Option<i64>>,
}

impl StormGuard {
    /// Counts what other daemons have opened since this one did.
    pub async fn look(
        &mut self,
        tx: &Transaction<'_>,
        context: &Context,
        nets: &[NetChange],
    ) -> Result<(), StageError> {
        let limit_of = |watch: &str| context.config.storm_of(watch).minute;
        let counts = |net: &&NetChange| net.set_aside.is_none() && limit_of(&net.watch) > 0;
        if !nets.iter().any(|net| counts(&net)) || self.is_alone(context) {
            return Ok(());
        }
        let names = context.watch_names().into_iter();
        let watches: Vec<&str> = names.filter(|watch| limit_of(watch) > 0).collect();
        let since = context.clock.now() - WINDOW;
        let opened =
            queries::claim::storm_recent(tx, self.seen, since, LOOK_BACK, &watches).await?;
        for RecentEntity { watch, entity_key, first_changed_at } in opened {
            let limit = limit_of(&watch);
            self.bursts.entry(watch).or_default().join(&entity_key, first_changed_at, limit);
        }
        Ok(())
    }

    /// Nobody else can have claimed since this process counted last: it has the right to send on every channel, as it
    /// had then.
    fn is_alone(&mut self, context: &Context) -> bool {
        let held = context.channel_senders.values().map(|sender| sender.held_lease());
        let epochs: Vec<Option<i64>> = held.map(|lease| lease.map(|lease| lease.epoch)).collect();
        let is_alone = self.epochs == epochs && epochs.iter().all(Option::is_some);
        self.epochs = epochs;
        is_alone
    }

    /// These messages were opened, and are counted.
    pub fn opened(&mut self, messages: &[Message]) {
        self.seen = messages.iter().filter_map(|message| message.message_id).max().or(self.seen);
    }

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
    tracing::error!(target: notice::STORM_HELD,
        hold = hold.hold_id,
        watch = hold.watch,
        reason = hold.reason,
        "a storm: its messages are held; see `rowbell held`, then `rowbell approve` or `rowbell discard`"
    );
    counters::storms(&hold.watch).increment(1);
}
