//! Holds storms: a bulk edit, a restored backup or a program gone wild changes more entities of a watch
//! than anybody would change on purpose. Their messages wait for a person to decide, with one log line
//! and one metric.
//!
//! Claim looks for them in the transaction that takes the changes, before any of their messages can
//! leave. A transaction is visible as a whole or not at all, so whether it is a storm is known
//! with its first change: what a claim cannot take is counted where it lies, once for each
//! transaction, and only if a claim was full and the transaction has several changes in it or among
//! the next ones. Ordinary small transactions cost no question.
//!
//! Too many within a minute is noticed when the limit is passed, not before: what has left by then
//! has left. What still waits joins the hold.
//!
//! Holds are rows, so another daemon, or this one after a restart, goes on with the same hold. What
//! changed within the last minute is counted in this process only.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use deadpool_postgres::Transaction;
use jiff::Timestamp;

use crate::domain::limit::burst::{BurstWindow, hashed};
use crate::domain::value::change::{Change, NetChange, Operation};
use crate::pipeline::context::context::Context;
use crate::pipeline::context::counters;
use crate::pipeline::context::stage::StageError;
use crate::pipeline::gate::blockers::Blockers;
use crate::postgres::queries;

/// Changes of one transaction in a full claim, from which on what comes after the claim is counted.
const SEVERAL: usize = 10;

/// How many changes after those of a claim are looked through.
const LOOK_AHEAD: usize = 10_000;

/// Transactions that are remembered as counted, at most.
const MAX_COUNTED: usize = 10_000;

/// The changes of one transaction to one watch.
type Group = (i64, String);

/// A hold that one claim opened; it is logged after the commit.
#[derive(Clone, Debug)]
pub struct NewHold {
    pub hold_id: i64,
    pub watch: String,
    pub reason: String,
}

/// What claim remembers of storms.
#[derive(Default)]
pub struct StormGuard {
    /// Transactions that no single claim could take: their entities by watch, as far as they matter.
    counted: HashMap<i64, HashMap<String, HashSet<u64>>>,
    bursts: HashMap<String, BurstWindow>,
}

/// What comes after the changes of a claim.
#[derive(Clone, Copy, Debug)]
pub struct ScanAhead<'a> {
    pub last_change_id: i64,
    /// Whether the claim took as much as it could.
    pub is_full: bool,
    /// Whose changes come next.
    pub next_transactions: &'a [i64],
}

impl StormGuard {
    /// Marks the changes that belong to a storm of one transaction with their hold.
    pub async fn mark(
        &mut self,
        tx: &Transaction<'_>,
        context: &Context,
        blockers: &Blockers,
        changes: &mut [Change],
        ahead: ScanAhead<'_>,
    ) -> Result<Vec<NewHold>, StageError> {
        let mut holds: HashMap<Group, i64> = HashMap::new();
        let mut opened = Vec::new();
        for (group, entities) in self.groups(tx, context, blockers, changes, ahead).await? {
            let (transaction, watch) = &group;
            let limit = context.config.storm_of(watch).transaction;
            if let Some(hold_id) = blockers.hold_of(watch, Some(*transaction)) {
                holds.insert(group, hold_id);
            } else if entities > limit {
                let reason = format!("one transaction changed more than {limit} rows");
                let new = open(tx, context, watch, Some(*transaction), reason).await?;
                self.counted.remove(transaction);
                holds.insert(group, new.hold_id);
                opened.push(new);
            }
        }
        if !holds.is_empty() {
            for change in changes.iter_mut().filter(|change| change.mute_reason.is_none()) {
                let group = (change.transaction_id, change.watch.clone());
                change.hold_id = holds.get(&group).copied();
            }
        }
        Ok(opened)
    }

    /// How many entities each transaction changed, taken or not. Watches without a limit are absent.
    async fn groups(
        &mut self,
        tx: &Transaction<'_>,
        context: &Context,
        blockers: &Blockers,
        changes: &[Change],
        ahead: ScanAhead<'_>,
    ) -> Result<BTreeMap<Group, usize>, StageError> {
        let limit = |watch: &str| context.config.storm_of(watch).transaction;
        let mut taken: BTreeMap<Group, HashSet<u64>> = BTreeMap::new();
        let counts = |change: &&Change| change.mute_reason.is_none() && limit(&change.watch) > 0;
        for change in changes.iter().filter(counts) {
            let group = (change.transaction_id, change.watch.clone());
            taken.entry(group).or_default().insert(hashed(&change.entity_key));
        }
        if ahead.is_full {
            let larger = taken.iter().filter(|((transaction, watch), entities)| {
                let may_go_on = entities.len() >= SEVERAL.min(limit(watch))
                    || ahead.next_transactions.contains(transaction);
                may_go_on
                    && !self.counted.contains_key(transaction)
                    && blockers.hold_of(watch, Some(*transaction)).is_none()
            });
            let larger: BTreeSet<i64> = larger.map(|((transaction, _), _)| *transaction).collect();
            self.count_ahead(tx, context, ahead.last_change_id, &larger).await?;
        }
        let mut sizes = BTreeMap::new();
        for (group, entities) in taken {
            let size = self.size(&group, entities);
            sizes.insert(group, size);
        }
        Ok(sizes)
    }

    /// How many entities of a transaction were taken now, were taken before, or come after this claim.
    fn size(&mut self, group: &Group, entities: HashSet<u64>) -> usize {
        let (transaction, watch) = group;
        let Some(counted) = self.counted.get_mut(transaction) else {
            return entities.len();
        };
        let known = counted.entry(watch.clone()).or_default();
        known.extend(entities);
        known.len()
    }

    async fn count_ahead(
        &mut self,
        tx: &Transaction<'_>,
        context: &Context,
        above: i64,
        transactions: &BTreeSet<i64>,
    ) -> Result<(), StageError> {
        if transactions.is_empty() {
            return Ok(());
        }
        if self.counted.len() > MAX_COUNTED {
            self.counted.clear();
        }
        self.counted.extend(transactions.iter().map(|id| (*id, HashMap::new())));
        let watches = context.config.watch.iter();
        let no_deletes = watches.filter(|(_, watch)| !watch.on.contains(&Operation::Delete));
        let no_deletes: Vec<&str> = no_deletes.map(|(name, _)| name.as_str()).collect();
        let ahead =
            queries::claim::storm_ahead(tx, above, transactions, LOOK_AHEAD, &no_deletes).await?;
        for (transaction, watch, entity_key) in ahead {
            let counted = self.counted.entry(transaction).or_default();
            counted.entry(watch).or_default().insert(hashed(&entity_key));
        }
        Ok(())
    }

    /// Too many new messages of a watch within a minute: all that are to be opened now join a hold,
    /// and those that wait already.
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
        for net in nets.iter().filter(|net| net.hold_id.is_none()) {
            since = since.or(burst.join(&net.entity_key, net.last_changed_at, limit));
        }
        let Some(since) = since else {
            return Ok(None);
        };
        let known = blockers.hold_of(watch, None);
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
        for net in nets.iter_mut().filter(|net| net.hold_id.is_none()) {
            net.hold_id = Some(hold_id);
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

async fn open(
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
