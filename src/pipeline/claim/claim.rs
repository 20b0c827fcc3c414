//! claim: makes messages of committed changes, one per entity.
//!
//! Takes changes of the watches in turn, those of one watch in order of capture, and deletes them; folds those of
//! one entity into its open message, or opens one. A message whose quiet period is over already, and for which
//! there is a permit, gets its words and its lease in the same transaction and leaves at once; the others wait in
//! the queue. One transaction, a few statements whatever the number of changes.
//!
//! If the process dies before the commit, nothing has happened and the changes are claimed again.
//! If it dies after it, see compose. Not promised: that changes of different transactions are claimed
//! in the order of their commits; for one row they are, because its row lock put them in order.
//!
//! The scan carries a lower bound; see scan_bound.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::domain::limit::backoff::Backoff;
use crate::domain::message::message::Message;
use crate::domain::value::change::{CapturedTable, Change, NetChange, SetAside};
use crate::domain::value::fold::{Folded, fold};
use crate::domain::value::versions::{FoldRules, without_moves};
use crate::pipeline::claim::burst_hold::StormGuard;
use crate::pipeline::claim::claimed_batch::{ClaimResult, ring_others};
use crate::pipeline::claim::large_transaction::{self, Group, LargeTransactions};
use crate::pipeline::claim::muted::{find_recipients, fold_muted, make_known};
use crate::pipeline::claim::new_message::{
    discarded, folded_in, held, leaves_at, muted, unreadable, waiting,
};
use crate::pipeline::claim::scan_bound::{ScanBounds, Scanned};
use crate::pipeline::context::context::{CompiledWatch, Context};
use crate::pipeline::context::read_fault::{RowFault, noted};
use crate::pipeline::context::stage::{Progress, Stage, StageError, chain, sleep};
use crate::pipeline::gate::blockers::Blockers;
use crate::pipeline::gate::decide::decide;
use crate::pipeline::gate::{fallback_channel, outcome};
use crate::postgres::connection::listener::Bell;
use crate::postgres::queries;
use crate::postgres::queries::claim::{ClaimBound, OpenMessage};
use crate::postgres::queries::claimed_batch::{ClaimedBatch, Taken};

/// How long words are left to compose after a row of a watch could not be read here.
const ROW_BY_ROW_FOR: Duration = Duration::from_secs(60);

/// How often a claim looks again for a free slot before it goes on without, and how long it waits in
/// between.
const SLOT_LOOKS: u32 = 20;
const SLOT_WAIT: Duration = Duration::from_millis(1);

/// How often a daemon that sends on no channel looks whether it does now.
const LOOK_FOR_CHANNELS: Duration = Duration::from_millis(250);

/// A claim takes milliseconds.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// How long to wait for another daemon that claims now.
const LOCK_WAIT: Duration = Duration::from_millis(2);
const LONGEST_LOCK_WAIT: Duration = Duration::from_millis(128);

/// Claims when the doorbell says so.
pub struct ClaimOnBell {
    claim: Claim,
    bell: Bell,
    lock_waits: Backoff,
}

impl ClaimOnBell {
    pub fn new(claim: Claim, bell: Bell) -> ClaimOnBell {
        ClaimOnBell { claim, bell, lock_waits: Backoff::new(LOCK_WAIT, LONGEST_LOCK_WAIT) }
    }
}

impl Stage for ClaimOnBell {
    const NAME: &'static str = "claim";

    async fn step(&mut self) -> Result<Progress, StageError> {
        self.claim.step().await
    }

    async fn rest(&mut self, last: Progress, stop: &CancellationToken) {
        if last == Progress::Worked {
            self.bell.worked();
        } else if !self.claim.sends {
            // Another daemon sends, and claims what it sends.
            self.bell.leave().await;
            sleep(LOOK_FOR_CHANNELS, stop).await;
        } else if self.claim.is_locked_out {
            // Whoever claims now may not have seen what this daemon was woken for, and may die: that must not be
            // slept through.
            sleep(self.lock_waits.fail(), stop).await;
        } else {
            self.lock_waits.succeed();
            tokio::select! {
                () = stop.cancelled() => {}
                is_rung = self.bell.idle() => self.claim.woken(is_rung),
            }
        }
    }

    async fn end(&mut self) {
        self.bell.leave().await;
    }
}

/// Claims changes.
pub struct Claim {
    context: Arc<Context>,
    bounds: ScanBounds,
    /// Somebody rang, or the last claim took as many as it could: there is something to take, and no
    /// need to look first.
    expects_more: bool,
    /// As of the last step: this daemon sends on some channel.
    sends: bool,
    /// As of the last step: another daemon was claiming, so it was not seen what there is.
    is_locked_out: bool,
    /// When the doorbell rang for what is not claimed yet, by the steady clock.
    rung_at: Option<Timestamp>,
    /// Since when, by the steady clock.
    locked_out_since: Option<Timestamp>,
    /// The server process that claims for so long that it seems to hang. The log has said so.
    pub hanging_process: Option<i32>,
    /// Watches whose rows compose reads one by one, and until when.
    row_by_row: HashMap<String, Timestamp>,
    /// How many changes to take while one is looked for that cannot be written.
    at_most: Option<usize>,
    storms: StormGuard,
    large: LargeTransactions,
}

/// What one claim came to.
enum Claimed {
    Done(Progress),
    /// It met large transactions, and is rolled back.
    Met(Vec<Group>),
}

impl Claim {
    pub fn new(context: Arc<Context>) -> Claim {
        Claim {
            context,
            bounds: ScanBounds::default(),
            expects_more: false,
            sends: false,
            is_locked_out: false,
            rung_at: None,
            locked_out_since: None,
            hanging_process: None,
            row_by_row: HashMap::new(),
            at_most: None,
            storms: StormGuard::default(),
            large: LargeTransactions::default(),
        }
    }

    /// The rest is over.
    fn woken(&mut self, is_rung: bool) {
        self.expects_more = is_rung;
        self.rung_at = is_rung.then(|| self.context.clock.steady());
    }

    fn note_claimed(&mut self, changes: usize) {
        let now = self.context.clock.steady();
        self.context.counts.claimed(changes, now);
        if let Some(at) = self.rung_at.take() {
            let took = now.duration_since(at).as_secs_f64();
            self.context.counts.wake_to_claim_seconds.record(took);
        }
    }

    /// Claims one batch of changes.
    pub async fn step(&mut self) -> Result<Progress, StageError> {
        self.is_locked_out = false;
        let done = self.look().await;
        match self.is_locked_out {
            true => self.note_lock().await?,
            false => (self.locked_out_since, self.hanging_process) = (None, None),
        }
        done
    }

    /// Another daemon claims. Says once if that lasts so long that its server process seems to hang.
    async fn note_lock(&mut self) -> Result<(), StageError> {
        let now = self.context.clock.steady();
        let since = *self.locked_out_since.get_or_insert(now);
        if self.hanging_process.is_some() || now < since + HANGS_AFTER {
            return Ok(());
        }
        let client = self.context.pool.get().await?;
        self.hanging_process = queries::claim::claim_holder(&client).await?;
        if let Some(process) = self.hanging_process {
            tracing::warn!(
                process,
                "another daemon has claimed for so long that its server process seems to hang, and changes wait for it; \
                 if it does not end: select pg_terminate_backend(process)"
            );
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<Progress, StageError> {
        self.sends = self.context.sends();
        if !self.sends {
            return Ok(Progress::Idle);
        }
        let now = self.context.clock.now();
        self.bounds.begin(self.context.clock.steady());
        let mut client = self.context.pool.get().await?;
        let is_expected = std::mem::take(&mut self.expects_more);
        let watches = self.context.watch_names();
        let above = self.bounds.above(&watches);
        if !is_expected && !queries::claim::claim_any(&client, &watches, &above).await? {
            return Ok(Progress::Idle);
        }
        let limit = self.room().await.min(self.at_most.unwrap_or(usize::MAX));
        let tx = client.transaction().await?;
        let mut claimed = ClaimResult::default();
        let done = self.batch(tx, now, limit, &mut claimed).await;
        // On every way out: a permit that is not used and not given back would be lost to the rate.
        claimed.give_back(&self.context);
        let done = match done {
            Ok(Claimed::Met(groups)) => {
                self.expects_more = true;
                large_transaction::set_aside(&mut client, &self.context, &self.bounds, &groups)
                    .await?;
                return Ok(Progress::Worked);
            }
            Ok(Claimed::Done(progress)) => Ok(progress),
            Err(error) => Err(error),
        };
        match done {
            Err(error) if error.is_of_a_value() => {
                drop(client);
                self.narrow(error, limit, now).await
            }
            Err(error) => {
                self.read_failed(error, now)?;
                Ok(Progress::Worked)
            }
            Ok(Progress::Worked) => {
                let whole = self.context.config.delivery.batch;
                self.at_most = self.at_most.map(|most| most * 2).filter(|most| *most < whole);
                Ok(Progress::Worked)
            }
            Ok(Progress::Idle) if is_expected => {
                // There is no change: perhaps a person rang who has let something else go.
                self.context
                    .channel_senders
                    .values()
                    .for_each(|channel_sender| channel_sender.ring());
                Ok(Progress::Idle)
            }
            done => done,
        }
    }

    /// One change that cannot be written must not keep the others: fewer are taken, until it is alone and fails alone.
    async fn narrow(
        &mut self,
        error: StageError,
        limit: usize,
        now: Timestamp,
    ) -> Result<Progress, StageError> {
        self.expects_more = true;
        if limit > 1 {
            self.at_most = Some(limit / 2);
            return Ok(Progress::Worked);
        }
        let watches = self.context.watch_names();
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        if !queries::claim::claim_bound(&tx).await?.is_mine {
            self.is_locked_out = true;
            return Ok(Progress::Idle);
        }
        let batch =
            queries::claimed_batch::claim_take(&tx, &watches, &self.bounds.above(&watches), limit)
                .await?;
        self.advance(&tx, &batch, batch.count >= limit).await?;
        let why = chain(&error);
        let failed = batch.changes.into_iter().map(|taken| taken.unreadable_for(&why));
        let mut messages: Vec<Message> =
            failed.filter_map(|taken| unreadable(&self.context.config, taken)).collect();
        queries::claim::claim_write(&tx, &mut messages, self.context.lease(now, false)).await?;
        tx.commit().await?;
        let counts = &self.context.counts;
        messages.iter().for_each(|m| counts.became(&m.watch, &m.channel, m.state));
        Ok(Progress::Worked)
    }

    /// How many changes to take. While requests fill every slot, changes are better left where they
    /// are for a moment: taken now, they would be written as waiting messages first and leased in a
    /// second step.
    async fn room(&self) -> usize {
        let batch = self.context.config.delivery.batch;
        for _ in 0..SLOT_LOOKS {
            let free = self
                .context
                .channel_senders
                .values()
                .map(|channel_sender| channel_sender.free_slots())
                .max()
                .unwrap_or(0);
            if free * 2 >= batch {
                return batch.min(free);
            }
            tokio::time::sleep(SLOT_WAIT).await;
        }
        batch
    }

    async fn batch(
        &mut self,
        tx: Transaction<'_>,
        now: Timestamp,
        limit: usize,
        claimed: &mut ClaimResult,
    ) -> Result<Claimed, StageError> {
        let context = self.context.clone();
        let watches = context.watch_names();
        let above = self.bounds.above(&watches);
        // Sent together and run in this order: the bound must be read before the transaction has an id of its own.
        // What is taken without the right to it is given back by the rollback.
        let channels: Vec<&str> = self.context.channel_senders.keys().map(String::as_str).collect();
        let (bound, mut batch, blockers) = tokio::try_join!(
            async { Ok(queries::claim::claim_bound(&tx).await?) },
            async { Ok(queries::claimed_batch::claim_take(&tx, &watches, &above, limit).await?) },
            Blockers::read(&tx, &self.context, &channels)
        )?;
        blockers.announce(&self.context, &channels);
        self.is_locked_out = !bound.is_mine;
        if !bound.is_mine {
            return Ok(Claimed::Done(Progress::Idle));
        }
        if batch.count == 0 {
            return Ok(Claimed::Done(self.nothing_taken(tx, &bound, &watches).await?));
        }
        let is_full = batch.count >= limit;
        claimed.blockers = blockers;
        self.expects_more = is_full;
        let met = self.plan(&tx, &mut batch, now, (is_full, &bound), claimed).await?;
        if !met.is_empty() {
            return Ok(Claimed::Met(met));
        }
        if !bound.apart.is_empty() {
            self.advance(&tx, &batch, is_full).await?;
        }
        if !claimed.folded.is_empty() {
            queries::claim::claim_fold(&tx, &claimed.folded, now).await?;
        }
        let lease = self.context.lease(now, false);
        let expires_at = lease.expires_at;
        queries::claim::claim_write(&tx, &mut claimed.messages, lease).await?;
        fallback_channel::schedule(&tx, &self.context, &claimed.messages).await?;
        outcome::assume(&tx, &claimed.messages).await?;
        claimed.hold(&tx, now).await?;
        tx.commit().await?;
        self.note_claimed(batch.count);
        self.storms.opened(&claimed.messages);
        // Only now: a claim that is rolled back has scanned nothing.
        let scanned = Scanned {
            reached: &batch.reached,
            exhausted: &batch.exhausted,
            is_full,
            claimed_by: batch.claimed_by,
        };
        self.bounds.scanned(&bound, &watches, scanned);
        if claimed.send_off(&self.context, expires_at) {
            ring_others(&self.context).await?;
        }
        Ok(Claimed::Done(Progress::Worked))
    }

    /// Only what is set aside is there: the bound passes it, so that the next looks do not read it again.
    async fn nothing_taken(
        &mut self,
        tx: Transaction<'_>,
        bound: &ClaimBound,
        watches: &[&str],
    ) -> Result<Progress, StageError> {
        let lags = |watch: &String| self.bounds.of(watch) < bound.apart_until;
        if !bound.apart.iter().any(lags) {
            return Ok(Progress::Idle);
        }
        let claimed_by = queries::claimed_batch::own_transaction(&tx).await?;
        self.advance(&tx, &ClaimedBatch::default(), false).await?;
        tx.commit().await?;
        let (reached, exhausted) = (&HashMap::new(), &[][..]);
        let scanned = Scanned { reached, exhausted, is_full: false, claimed_by };
        self.expects_more = self.bounds.scanned(bound, watches, scanned);
        Ok(if self.expects_more { Progress::Worked } else { Progress::Idle })
    }

    /// Large transactions go on after what was taken of them.
    async fn advance(
        &self,
        tx: &Transaction<'_>,
        batch: &ClaimedBatch,
        is_full: bool,
    ) -> Result<(), StageError> {
        let parts = batch.parts.iter();
        let parts = parts.filter_map(|(id, last)| Some((id.parse::<i64>().ok()?, *last)));
        let (parts, last): (Vec<i64>, Vec<i64>) = parts.unzip();
        Ok(queries::claimed_batch::large_advance(tx, &parts, &last, is_full).await?)
    }

    /// Decides what becomes of the changes: folded into open messages, or new ones.
    async fn plan(
        &mut self,
        tx: &Transaction<'_>,
        batch: &mut ClaimedBatch,
        now: Timestamp,
        (is_full, bound): (bool, &ClaimBound),
        claimed: &mut ClaimResult,
    ) -> Result<Vec<Group>, StageError> {
        let mut changes = Vec::with_capacity(batch.count);
        for taken in batch.changes.drain(..) {
            match taken {
                Taken::Whole(change) => changes.push(*change),
                other => claimed.messages.extend(unreadable(&self.context.config, other)),
            }
        }
        for taken in large_transaction::earlier(tx, &bound.apart, &changes).await? {
            match taken {
                Taken::Whole(change) => changes.push(*change),
                other => claimed.messages.extend(unreadable(&self.context.config, other)),
            }
        }
        changes.sort_by_key(|change| change.change_id);
        let rules = self.own(&mut changes).await?;
        let changes = without_moves(changes, &|watch| rules.get(watch).cloned());
        let met = self.large.find(tx, &self.context, &changes, batch, is_full).await?;
        if !met.is_empty() {
            return Ok(met);
        }
        let mut folded = fold(changes, &|watch| rules.get(watch).cloned());
        for renames in &folded.renames {
            queries::claim::claim_rename(tx, renames, now).await?;
        }
        self.make_muted_known(tx, &mut folded).await?;
        for (net, reason) in folded.muted {
            claimed.messages.extend(muted(&self.context.config, net, reason, now));
        }
        let fresh = self.fold_into_open(tx, folded.nets, now, claimed).await?;
        self.open(tx, fresh, now, claimed).await?;
        Ok(Vec::new())
    }

    /// What was muted counts as told, before anything is decided.
    async fn make_muted_known(
        &self,
        tx: &Transaction<'_>,
        folded: &mut Folded,
    ) -> Result<(), StageError> {
        if folded.muted.is_empty() {
            return Ok(());
        }
        let mut watches: HashMap<String, Arc<CompiledWatch>> = HashMap::new();
        for (net, _) in &folded.muted {
            if !watches.contains_key(&net.watch)
                && let Ok(compiled) = self.context.compiled(&net.watch).await?
            {
                watches.insert(net.watch.clone(), compiled);
            }
        }
        let muted = folded.muted.iter().map(|(net, _)| net);
        let mut muted = fold_muted(muted, |watch, old, new| {
            watches.get(watch).is_some_and(|known| !known.names_the_same(old, new))
        });
        find_recipients(tx, &watches, &self.context.config.recipient.region, &mut muted).await?;
        queries::claim::claim_mute(tx, &muted).await?;
        make_known(&muted, &mut folded.nets);
        Ok(())
    }

    /// Lets go of changes of tables that their watch is not about any more: the watch moved to another table, or two
    /// tables swapped their names. Gives how the changes of each watch are put together; a watch that cannot be used
    /// has no rules, and keeps its changes.
    async fn own(
        &self,
        changes: &mut Vec<Change>,
    ) -> Result<HashMap<String, Arc<FoldRules>>, StageError> {
        let names: HashSet<String> = changes.iter().map(|change| change.watch.clone()).collect();
        let mut rules = HashMap::new();
        for name in names {
            let of_watch = || changes.iter().filter(|change| change.watch == name);
            let Ok(mut compiled) = self.context.compiled(&name).await? else { continue };
            let is_known = |table: &CapturedTable, compiled: &CompiledWatch| {
                table.oid == compiled.table.oid && table.name == compiled.table.table
            };
            if of_watch()
                .filter_map(|change| change.table.as_deref())
                .any(|table| !is_known(table, &compiled))
            {
                let Ok(anew) = self.context.looked_up_again(&name).await? else { continue };
                compiled = anew;
            }
            let is_foreign = |change: &Change| {
                let oid = change.table.as_ref().map(|table| table.oid);
                change.watch == name && oid.is_some_and(|oid| oid != compiled.table.oid)
            };
            let before = changes.len();
            changes.retain(|change| !is_foreign(change));
            if changes.len() < before {
                tracing::warn!(
                    watch = name,
                    changes = before - changes.len(),
                    "changes of a table that the watch is not about are told to nobody; run `rowbell watch`"
                );
            }
            rules.insert(name, Arc::new(compiled.table.fold_rules(&compiled.config)));
        }
        Ok(rules)
    }

    /// Folds what belongs to open messages for all recipients; returns the rest. Those of single recipients are locked
    /// by that, and joined when the rest is put into words.
    async fn fold_into_open(
        &self,
        tx: &Transaction<'_>,
        nets: Vec<NetChange>,
        now: Timestamp,
        claimed: &mut ClaimResult,
    ) -> Result<Vec<NetChange>, StageError> {
        let watches: Vec<&str> = nets.iter().map(|net| net.watch.as_str()).collect();
        let keys: Vec<&str> = nets.iter().map(|net| net.entity_key.as_str()).collect();
        let open = queries::claim::claim_open(tx, &watches, &keys).await?;
        let mut open: HashMap<(String, String), OpenMessage> = open
            .into_iter()
            .filter(|m| m.recipient_key.is_none())
            .map(|m| ((m.watch.clone(), m.entity_key.clone()), m))
            .collect();
        self.split(tx, &nets, &mut open).await?;
        let mut fresh = Vec::with_capacity(nets.len());
        for net in nets {
            match open.remove(&(net.watch.clone(), net.entity_key.clone())) {
                Some(message) => {
                    claimed.folded.extend(folded_in(&self.context.config, message, net, now))
                }
                None => fresh.push(net),
            }
        }
        Ok(fresh)
    }

    /// A message that was tried in vain waits for its recipient. Where the row goes over to others, they do not.
    async fn split(
        &self,
        tx: &Transaction<'_>,
        nets: &[NetChange],
        open: &mut HashMap<(String, String), OpenMessage>,
    ) -> Result<(), StageError> {
        let mut tried = Vec::new();
        for net in nets {
            let (Some(old), Some(new)) = (&net.old_row, &net.new_row) else { continue };
            let message = open.get(&(net.watch.clone(), net.entity_key.clone()));
            let Some(message) = message.filter(|message| message.waits_after_attempt()) else {
                continue;
            };
            if let Ok(compiled) = self.context.compiled(&net.watch).await?
                && !compiled.names_the_same(old, new)
            {
                tried.push(message.message_id);
            }
        }
        if !tried.is_empty() {
            let split = queries::claim::claim_split(tx, &tried).await?;
            open.retain(|_, message| !split.contains(&message.message_id));
        }
        Ok(())
    }

    /// Opens messages for entities that have none: those that may leave now with their words.
    async fn open(
        &mut self,
        tx: &Transaction<'_>,
        nets: Vec<NetChange>,
        now: Timestamp,
        claimed: &mut ClaimResult,
    ) -> Result<(), StageError> {
        self.storms.look(tx, &self.context, &nets).await?;
        let mut by_watch: BTreeMap<String, Vec<NetChange>> = BTreeMap::new();
        for net in nets {
            by_watch.entry(net.watch.clone()).or_default().push(net);
        }
        for (name, mut nets) in by_watch {
            let Some(watch) = self.context.config.watch.get(&name).cloned() else {
                continue;
            };
            let burst = &mut self.storms;
            let held_burst =
                burst.burst(tx, &self.context, &claimed.blockers, &name, &mut nets).await?;
            if let Some(held_burst) = held_burst {
                claimed
                    .joining
                    .extend(held_burst.gathered.iter().map(|id| (*id, held_burst.hold_id)));
                claimed.holds.extend(held_burst.opened);
            }
            let (set_aside, nets): (Vec<_>, Vec<_>) = nets.into_iter().partition(|net| {
                matches!(net.set_aside, Some(SetAside::Waits(_) | SetAside::Discarded(_)))
            });
            claimed.messages.extend(set_aside.into_iter().map(|net| match &net.set_aside {
                Some(SetAside::Discarded(why)) => {
                    let why = why.clone();
                    discarded(&watch, net, why, now)
                }
                _ => held(&watch, net, now),
            }));
            let (mut due, mut later): (Vec<_>, Vec<_>) = nets.into_iter().partition(|net| {
                leaves_at(&watch, net.first_changed_at, net.last_changed_at, now) <= now
            });
            later.extend(due.split_off(self.admit(&name, &watch, due.len(), now, claimed)));
            if !due.is_empty() {
                self.compose(tx, &name, &watch, due, now, claimed).await?;
            }
            claimed.messages.extend(later.into_iter().map(|net| waiting(&watch, net, now)));
        }
        Ok(())
    }

    /// How many messages of the watch may leave at once.
    fn admit(
        &mut self,
        name: &str,
        watch: &config::Watch,
        want: usize,
        now: Timestamp,
        claimed: &mut ClaimResult,
    ) -> usize {
        let is_row_by_row = self.row_by_row.get(name).is_some_and(|until| now < *until);
        // What is recorded instead of posted is leased by compose, under a name that says so; and compose sees what else is
        // due for the same recipient.
        let is_for_compose =
            self.context.config.is_dry_run(&watch.channel) || watch.digest.is_some();
        if is_row_by_row || is_for_compose || !claimed.blockers.is_free(&watch.channel, name, now) {
            return 0;
        }
        let Some(channel_sender) = self.context.channel_sender_of(watch) else {
            return 0;
        };
        let admitted = channel_sender.admit_new(want);
        *claimed.admitted.entry(watch.channel.clone()).or_default() += admitted;
        admitted
    }

    async fn compose(
        &self,
        tx: &Transaction<'_>,
        name: &str,
        watch: &config::Watch,
        nets: Vec<NetChange>,
        now: Timestamp,
        claimed: &mut ClaimResult,
    ) -> Result<(), StageError> {
        let mut messages: Vec<Message> =
            nets.into_iter().map(|net| waiting(watch, net, now)).collect();
        if let Ok(compiled) = self.context.compiled(name).await? {
            let room = messages.len();
            messages =
                decide(tx, &self.context, &compiled, &claimed.blockers, messages, room).await?;
            claimed.has_joined |= messages.len() < room;
        }
        claimed.messages.extend(messages);
        Ok(())
    }

    /// The claim is rolled back. Next time the changes of this watch only become messages; compose
    /// finds the row at fault.
    fn read_failed(&mut self, error: StageError, now: Timestamp) -> Result<(), StageError> {
        match noted(&self.context, &error) {
            None | Some((_, RowFault::Server)) => return Err(error),
            Some((watch, _)) => {
                self.row_by_row.insert(watch.to_owned(), now + ROW_BY_ROW_FOR);
            }
        }
        Ok(())
    }
}
