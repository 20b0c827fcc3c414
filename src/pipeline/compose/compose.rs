//! compose: due messages get their words and their lease.
//!
//! Takes open messages whose time has come. In one transaction reads each row as it is now, its
//! recipient and what was last told, passes the gates, makes the words, and writes what was decided:
//! a lease with an attempt row, a later time, or an end with its reason. Hands leased messages to
//! deliver after the commit.
//!
//! If the process dies before the commit, nothing has happened. If it dies after the commit and
//! before the request, the lease runs out and the message is unconfirmed, because nobody can tell
//! that case from a request that left. Not promised: that messages of different entities leave in
//! the order of their changes; nor, where watches share a channel, that what is due first leaves first:
//! they take turns.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::domain::limit::circuit::CircuitKey;
use crate::domain::message::fallback::FallbackCause;
use crate::domain::message::state::WaitsFor;
use crate::pipeline::compose::fair_queue::Turns;
use crate::pipeline::context::channel_sender::Lane;
use crate::pipeline::context::context::Site;
use crate::pipeline::context::stage::{Patience, Progress, StageError, rest};
use crate::pipeline::gate::blockers::{Stops, Way, try_one};
use crate::pipeline::gate::decide::{decide, outgoing};
use crate::pipeline::gate::gates::{Candidate, Decision, Parts};
use crate::pipeline::gate::row_errors::{Fault, fault_of, one_by_one};
use crate::postgres::queries::{self, Decided, DueMessage};

/// The longest rest: another daemon may have put messages into the queue.
const LONGEST_REST: Duration = Duration::from_secs(15);

/// How long a message of a watch that cannot be used waits before it is looked at again.
const BROKEN_WAIT: Duration = Duration::from_secs(30);

/// Composes the due messages of one lane.
pub struct Compose {
    site: Arc<Site>,
    lane: Arc<Lane>,
    turns: Turns,
    /// The lane let nothing through at the last step: no slot, no permit, or it is stopped.
    is_shut: bool,
    /// When to look again whether messages of this channel may leave.
    shut_until: Option<Timestamp>,
    /// As of the last look.
    paused_watches: Vec<String>,
    /// Watches whose batch failed on the data of some row: their rows are read one by one.
    careful: HashSet<String>,
}

impl Compose {
    pub fn new(site: Arc<Site>, lane: Arc<Lane>) -> Compose {
        Compose {
            turns: Turns::new(&site, &lane.channel),
            site,
            lane,
            is_shut: false,
            shut_until: None,
            paused_watches: Vec::new(),
            careful: HashSet::new(),
        }
    }

    /// Composes until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut patience = Patience::new("compose");
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(Progress::Worked) => patience.succeeded(),
                Ok(Progress::Idle) => {
                    patience.succeeded();
                    self.wait(&stop).await;
                }
                Err(error) => rest(&stop, patience.failed(&error)).await,
            }
        }
    }

    /// Composes one batch of due messages.
    pub async fn step(&mut self) -> Result<Progress, StageError> {
        let admitted = self.lane.admit(self.site.config.delivery.batch);
        self.is_shut = admitted == 0;
        if self.is_shut {
            return Ok(Progress::Idle);
        }
        let sent = self.batch(admitted).await;
        let leased = sent.as_ref().map_or(0, |(_, leased)| *leased);
        self.lane.give_back(admitted - leased);
        sent.map(|(progress, _)| progress)
    }

    async fn batch(&mut self, limit: usize) -> Result<(Progress, usize), StageError> {
        let now = self.site.clock.now();
        let mut client = self.site.pool.get().await?;
        let tx = client.transaction().await?;
        let channel = self.lane.channel.clone();
        let stops = Stops::read(&tx, &self.site, &[&channel]).await?;
        self.paused_watches.clone_from(&stops.paused_watches);
        let way = stops.way(&channel, now);
        self.shut_until = way.shut_until();
        let limit = match way {
            Way::Free => limit,
            Way::Try => 1,
            Way::Shut(_) => return Ok((Progress::Idle, 0)),
        };
        if self.turns.is_due(now) {
            self.turns.begin(now, queries::compose_watches(&tx, &channel).await?);
        }
        let turns = self.turns.next(&self.paused_watches);
        let due = queries::compose_due(&tx, &channel, now, &turns, limit).await?;
        drop(turns);
        self.lane.was_full(due.len() >= limit);
        if due.is_empty() {
            // Messages that become due later than others but with an earlier due_at wait for the
            // next full scan; those put off by this process ring the lane.
            return Ok((Progress::Idle, 0));
        }
        let reached = Turns::reached(&due);
        let (decided, served) = self.decide_all(&tx, &stops, due).await?;
        let leases = decided.iter().find(|d| d.words.is_some()).map(|d| d.message_id);
        if let (Way::Try, Some(message_id)) = (way, leases)
            && !try_one(&tx, &self.site, &CircuitKey::channel(&channel), message_id).await?
        {
            return Ok((Progress::Idle, 0));
        }
        let lease = self.site.lease(now, self.site.config.is_dry_run(&channel));
        let attempts: BTreeMap<i64, i16> =
            queries::compose_write(&tx, &decided, lease).await?.into_iter().collect();
        let on: Vec<i64> = decided.iter().filter(|d| d.leads_on).map(|d| d.message_id).collect();
        queries::fallback_await(&tx, &on, FallbackCause::Skipped, now).await?;
        tx.commit().await?;
        self.turns.passed(reached, &served);
        let leased = decided.iter().filter(|d| d.words.is_some()).count();
        for decided in decided {
            let Decided { message_id, watch, state, words, .. } = decided;
            match (words, attempts.get(&message_id)) {
                (Some(words), Some(attempt)) => {
                    let message = outgoing(message_id, watch, *attempt, *words, lease.expires_at);
                    self.lane.push(message);
                }
                _ => self.site.counts.became(&watch, &channel, state),
            }
        }
        Ok((Progress::Worked, leased))
    }

    /// What becomes of due messages, and how many of each watch leave.
    async fn decide_all(
        &mut self,
        tx: &Transaction<'_>,
        stops: &Stops,
        due: Vec<DueMessage>,
    ) -> Result<(Vec<Decided>, Vec<(String, usize)>), StageError> {
        let mut by_watch: BTreeMap<String, Vec<(i64, Candidate)>> = BTreeMap::new();
        for message in due {
            let candidate = Candidate {
                message_id: Some(message.message_id),
                channel: self.lane.channel.clone(),
                fallback_of: message.fallback_of,
                attempt_count: message.attempt_count,
                entity_key: message.entity_key,
                operation: message.operation,
                old_row: message.old_row,
                new_row: message.new_row,
            };
            by_watch.entry(message.watch).or_default().push((message.message_id, candidate));
        }
        let (mut decided, mut served) = (Vec::new(), Vec::new());
        for (watch, messages) in by_watch {
            let (ids, candidates): (Vec<i64>, Vec<Candidate>) = messages.into_iter().unzip();
            let decisions = self.decide_watch(tx, stops, &watch, &candidates).await?;
            let leaves = decisions.iter().filter(|d| matches!(d, Decision::Send(_))).count();
            let (settings, channel) = (self.site.config.watch.get(&watch), &self.lane.channel);
            decided.extend(ids.into_iter().zip(decisions).map(|(message_id, decision)| {
                let state = decision.state();
                let leads_on = settings.is_some_and(|watch| watch.leads_on(channel, state));
                let Parts { reason_text, wait, due_at, words } = decision.into_parts();
                let watch = watch.clone();
                Decided { message_id, watch, state, reason_text, wait, words, due_at, leads_on }
            }));
            served.push((watch, leaves));
        }
        Ok((decided, served))
    }

    async fn decide_watch(
        &mut self,
        tx: &Transaction<'_>,
        stops: &Stops,
        watch: &str,
        candidates: &[Candidate],
    ) -> Result<Vec<Decision>, StageError> {
        let watching = match self.site.watching(watch).await? {
            Ok(watching) => watching,
            Err(why) => {
                let due_at = self.site.clock.now() + BROKEN_WAIT;
                let why = format!("the watch cannot be used: {why}");
                return Ok(vec![Decision::defer(due_at, WaitsFor::Watch, why); candidates.len()]);
            }
        };
        let decisions = match self.careful.contains(watch) {
            true => one_by_one(tx, &self.site, &watching, stops, candidates).await,
            false => decide(tx, &self.site, &watching, stops, candidates).await,
        };
        if let Err(StageError::Read { source, .. }) = &decisions {
            self.read_failed(watch, source);
        }
        decisions
    }

    /// The batch is rolled back. Next time the watch is looked up anew, or its rows are read one by
    /// one, so that the row at fault fails alone.
    fn read_failed(&mut self, watch: &str, error: &tokio_postgres::Error) {
        match fault_of(error) {
            Fault::Watch => self.site.broke(watch, crate::pipeline::context::stage::chain(error)),
            Fault::Row | Fault::Slow => {
                self.careful.insert(watch.to_owned());
            }
            Fault::Server => {}
        }
    }

    async fn wait(&self, stop: &CancellationToken) {
        let is_owned = self.lane.is_owned();
        if is_owned && self.is_shut {
            return tokio::select! {
                () = stop.cancelled() => {}
                () = self.lane.freed() => {}
                () = tokio::time::sleep(self.lane.next_in()) => {}
            };
        }
        let time = match self.shut_until {
            _ if !is_owned => LONGEST_REST,
            Some(until) => until.duration_since(self.site.clock.now()).unsigned_abs(),
            None => self.until_due().await.unwrap_or(LONGEST_REST),
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.lane.changed() => {}
            () = tokio::time::sleep(time.min(LONGEST_REST)) => {}
        }
    }

    async fn until_due(&self) -> Result<Duration, StageError> {
        let client = self.site.pool.get().await?;
        let watches: Vec<&str> =
            self.turns.next(&self.paused_watches).iter().map(|turn| turn.watch).collect();
        let next = queries::compose_next_due(&client, &self.lane.channel, &watches).await?;
        let Some(next) = next else {
            return Ok(LONGEST_REST);
        };
        let left = Duration::try_from(self.site.clock.now().duration_until(next));
        Ok(left.unwrap_or(Duration::ZERO))
    }
}
