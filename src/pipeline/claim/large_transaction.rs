//! Large transactions: nobody waits behind somebody else's bulk edit, and a storm is held as what it is, one
//! transaction.
//!
//! A transaction is visible as a whole or not at all, so whether it is large is known with its first change: what a
//! claim cannot take is counted where it lies, once for each transaction, and only if a claim was full and the
//! transaction has several changes in it or among the next ones. Ordinary small transactions cost no question. The
//! claim that meets a large one is rolled back, and one row names the transaction: its changes stay in `rowbell.change`,
//! and claim passes them over. If it changed more entities than `[storm]` allows it waits for a person; if not, or when a
//! person has decided, claim takes it in a turn of its own, beside the rest of the watch, and carries out the decision
//! there: they leave from the first batch on, or end as discarded or as told.
//!
//! Of one entity nothing overtakes. What is claimed of an entity while earlier changes of it are set aside takes those
//! along, in order of capture, and they fold into one: if they wait for a person, all of it waits in the same hold, as a
//! message; if they leave, or were discarded, it tells them too; if they count as told, they are known by then. Messages
//! that wait in the queue join the hold of a transaction that changes their rows, because they would tell its changes:
//! a message tells the row as it is. A message that is being sent already leaves. Of two large transactions on the
//! same entities the later one takes the earlier one along where it leaves, and leaves it where it is discarded.
//!
//! It is all in rows: a restart, another daemon, or a person's command goes on from there. The bound of the scan passes
//! what is set aside as soon as every transaction has ended that was there before it was (scan_bound); a watch whose
//! changes were set aside has them read once more by each claim of later changes of the same watch.
//!
//! Not noticed: an entity whose primary key the large transaction itself changed. A later change of it leaves, and what
//! was set aside tells the rest.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use deadpool_postgres::{Client, Transaction};

use crate::domain::limit::burst::hashed;
use crate::domain::value::change::{Change, Operation, SetAside};
use crate::pipeline::claim::burst_hold::{NewHold, announce, open};
use crate::pipeline::claim::scan_bound::ScanBounds;
use crate::pipeline::context::context::Context;
use crate::pipeline::context::stage::StageError;
use crate::postgres::queries;
use crate::postgres::queries::claimed_batch::{ClaimedBatch, Taken};

/// Entities of one transaction from which on it is set aside, whatever a storm is.
const LARGE: usize = 2_000;

/// Changes of one transaction in a full claim, from which on what comes after the claim is counted.
const SEVERAL: usize = 10;

/// How many changes after those of a claim are looked through: first so many that a large transaction shows which stands
/// there by itself, because others wait meanwhile; then, where that says nothing, many.
const LOOKS_AHEAD: [usize; 2] = [LARGE + 1, 10_000];

/// Transactions that are remembered as counted, at most.
const MAX_COUNTED: usize = 10_000;

/// The changes of one transaction to one watch.
pub type Group = (i64, String);

/// What claim remembers of large transactions.
#[derive(Default)]
pub struct LargeTransactions {
    /// Transactions that no single claim could take: their entities by watch, as far as they matter.
    counted: HashMap<i64, HashMap<String, HashSet<u64>>>,
}

impl LargeTransactions {
    /// The large transactions among the changes of a claim that are not set aside yet.
    pub async fn find(
        &mut self,
        tx: &Transaction<'_>,
        context: &Context,
        changes: &[Change],
        batch: &ClaimedBatch,
        is_full: bool,
    ) -> Result<Vec<Group>, StageError> {
        let mut taken: BTreeMap<Group, HashSet<u64>> = BTreeMap::new();
        let counts = |change: &&Change| change.mute_reason.is_none() && change.set_aside.is_none();
        for change in changes.iter().filter(counts) {
            let group = (change.transaction_id, change.watch.clone());
            taken.entry(group).or_default().insert(hashed(&change.entity_key));
        }
        if is_full {
            let larger = taken.iter().filter(|((transaction, watch), entities)| {
                let may_go_on = entities.len() >= SEVERAL.min(limit(context, watch))
                    || batch.next_transactions.contains(transaction);
                may_go_on && !self.counted.contains_key(transaction)
            });
            let larger: BTreeSet<i64> = larger.map(|((transaction, _), _)| *transaction).collect();
            self.count_ahead(tx, context, batch, &larger).await?;
        }
        let mut large = Vec::new();
        for (group, entities) in taken {
            if self.size(&group, entities) > limit(context, &group.1) {
                self.counted.remove(&group.0);
                large.push(group);
            }
        }
        Ok(large)
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
        batch: &ClaimedBatch,
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
        for most in LOOKS_AHEAD {
            let ahead = queries::claimed_batch::storm_ahead(
                tx,
                &batch.reached,
                transactions,
                most,
                &no_deletes,
            )
            .await?;
            for (transaction, watch, entity_key) in ahead {
                let counted = self.counted.entry(transaction).or_default();
                counted.entry(watch).or_default().insert(hashed(&entity_key));
            }
            let is_large = |id: &i64| {
                let mut watches = self.counted.get(id).into_iter().flatten();
                watches.any(|(watch, entities)| entities.len() > limit(context, watch))
            };
            if transactions.iter().all(is_large) {
                break;
            }
        }
        Ok(())
    }
}

/// How many entities of a watch one transaction may change without being set aside.
fn limit(context: &Context, watch: &str) -> usize {
    match context.config.storm_of(watch).transaction {
        0 => LARGE,
        limit => limit.min(LARGE),
    }
}

/// Sets large transactions aside, in a transaction of its own, and holds those that are storms.
pub async fn set_aside(
    client: &mut Client,
    context: &Context,
    bounds: &ScanBounds,
    groups: &[Group],
) -> Result<(), StageError> {
    let now = context.clock.now();
    let tx = client.transaction().await?;
    if !queries::claim::claim_bound(&tx).await?.is_mine {
        return Ok(());
    }
    let mut opened: Vec<NewHold> = Vec::new();
    for (transaction, watch) in groups {
        let limit = context.config.storm_of(watch).transaction;
        let of_watch = context.config.watch.get(watch);
        let no_deletes = of_watch.is_some_and(|watch| !watch.on.contains(&Operation::Delete));
        let name = transaction.to_string();
        let above = bounds.of(watch);
        let limit_of_storm = limit as i64;
        let large = queries::claimed_batch::large_set_aside(
            &tx,
            watch,
            &name,
            above,
            no_deletes,
            limit_of_storm,
        )
        .await?;
        let Some((large_transaction_id, true)) = large else { continue };
        let reason = format!("one transaction changed more than {limit} rows");
        let hold = open(&tx, context, watch, Some(*transaction), reason).await?;
        let waiting =
            queries::claimed_batch::large_hold(&tx, large_transaction_id, hold.hold_id).await?;
        let joining: Vec<(i64, i64)> = waiting.into_iter().map(|id| (id, hold.hold_id)).collect();
        queries::claim::storm_join(&tx, &joining, now).await?;
        opened.push(hold);
    }
    tx.commit().await?;
    opened.iter().for_each(announce);
    Ok(())
}

/// What was set aside of the entities of some changes before them. It is taken along: see above.
pub async fn earlier(
    tx: &Transaction<'_>,
    apart: &[String],
    changes: &[Change],
) -> Result<Vec<Taken>, StageError> {
    let follows = |change: &&Change| {
        apart.contains(&change.watch) && matches!(change.set_aside, None | Some(SetAside::Leaves))
    };
    let later: Vec<&Change> = changes.iter().filter(follows).collect();
    if later.is_empty() {
        return Ok(Vec::new());
    }
    let mut taken = queries::claimed_batch::large_take(tx, &later).await?;
    // It is decided about whoever follows in its own right.
    let undecided: HashSet<(&str, &str)> = later
        .iter()
        .filter(|change| change.set_aside.is_none())
        .map(|change| (change.watch.as_str(), change.entity_key.as_str()))
        .collect();
    for taken in &mut taken {
        if let Taken::Whole(change) = taken
            && matches!(change.set_aside, Some(SetAside::Waits(_)))
            && !undecided.contains(&(change.watch.as_str(), change.entity_key.as_str()))
        {
            change.set_aside = Some(SetAside::Leaves);
        }
    }
    Ok(taken)
}
