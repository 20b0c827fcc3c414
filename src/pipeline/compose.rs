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
//! the order of their changes.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::baseline::baseline_of;
use super::careful::{Fault, fault_of, one_by_one};
use super::doubts;
use super::gates::{Candidate, Case, Decision, Passed};
use super::lane::{Lane, Outgoing};
use super::site::{Site, Watching};
use super::stage::{Patience, Progress, StageError, rest};
use super::stops::{Stops, Way, hold_back, try_one};
use crate::domain::attempt::TemplateMessage;
use crate::domain::circuit::CircuitKey;
use crate::domain::labels::ByColumn;
use crate::domain::row::Row;
use crate::postgres::lookups;
use crate::postgres::queries::{self, Decided, DueMessage, Words};
use crate::postgres::rows::{self, Present, Wanted};

/// How often the scan for due messages starts from the beginning, to prove its bound right.
const FULL_SCAN_EVERY: Duration = Duration::from_secs(5);

/// The longest rest: another daemon may have put messages into the queue.
const LONGEST_REST: Duration = Duration::from_secs(15);

/// How long a message of a watch that cannot be used waits before it is looked at again.
const BROKEN_WAIT: Duration = Duration::from_secs(30);

/// Composes the due messages of one lane.
pub struct Compose {
    site: Arc<Site>,
    lane: Arc<Lane>,
    above: (Timestamp, i64),
    full_scan_at: Timestamp,
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
        let full_scan_at = site.clock.now();
        Compose {
            site,
            lane,
            above: (Timestamp::UNIX_EPOCH, 0),
            full_scan_at,
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
        self.lane.release(admitted - leased);
        sent.map(|(progress, _)| progress)
    }

    async fn batch(&mut self, limit: usize) -> Result<(Progress, usize), StageError> {
        let now = self.site.clock.now();
        if now >= self.full_scan_at {
            self.above = (Timestamp::UNIX_EPOCH, 0);
            self.full_scan_at = now + FULL_SCAN_EVERY;
        }
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
        let paused = &self.paused_watches;
        let due = queries::compose_due(&tx, &channel, now, self.above, limit, paused).await?;
        let Some(last) = due.last() else {
            // Messages that become due later than others but with an earlier due_at wait for the
            // next full scan; those put off by this process ring the lane.
            return Ok((Progress::Idle, 0));
        };
        let above = (last.due_at, last.message_id);
        let decided = self.decide_all(&tx, &stops, due).await?;
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
        queries::fallback_await(&tx, &on, "skipped", now).await?;
        tx.commit().await?;
        self.above = above;
        let leased = decided.iter().filter(|d| d.words.is_some()).count();
        for decided in decided {
            if let (Some(words), Some(attempt)) = (decided.words, attempts.get(&decided.message_id))
            {
                self.lane.push(outgoing(decided.message_id, *attempt, *words, lease.expires_at));
            }
        }
        Ok((Progress::Worked, leased))
    }

    async fn decide_all(
        &mut self,
        tx: &Transaction<'_>,
        stops: &Stops,
        due: Vec<DueMessage>,
    ) -> Result<Vec<Decided>, StageError> {
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
        let mut decided = Vec::new();
        for (watch, messages) in by_watch {
            let (ids, candidates): (Vec<i64>, Vec<Candidate>) = messages.into_iter().unzip();
            let decisions = self.decide_watch(tx, stops, &watch, &candidates).await?;
            let (settings, channel) = (self.site.config.watch.get(&watch), &self.lane.channel);
            decided.extend(ids.into_iter().zip(decisions).map(|(message_id, decision)| {
                let state = decision.state();
                let leads_on = settings.is_some_and(|watch| watch.leads_on(channel, state));
                let (reason_text, due_at, words) = decision.into_parts();
                Decided { message_id, state, reason_text, words, due_at, leads_on }
            }));
        }
        Ok(decided)
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
                return Ok(vec![Decision::Defer { due_at, why }; candidates.len()]);
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
            Fault::Watch => self.site.broke(watch, super::stage::chain(error)),
            Fault::Row | Fault::Slow => {
                self.careful.insert(watch.to_owned());
            }
            Fault::Server => {}
        }
    }

    async fn wait(&self, stop: &CancellationToken) {
        if self.is_shut {
            return tokio::select! {
                () = stop.cancelled() => {}
                () = self.lane.freed() => {}
                () = tokio::time::sleep(self.lane.next_in()) => {}
            };
        }
        let time = match self.shut_until {
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
        let next =
            queries::compose_next_due(&client, &self.lane.channel, &self.paused_watches).await?;
        let Some(next) = next else {
            return Ok(LONGEST_REST);
        };
        let left = Duration::try_from(self.site.clock.now().duration_until(next));
        Ok(left.unwrap_or(Duration::ZERO))
    }
}

/// A leased message on its way to deliver.
pub fn outgoing(
    message_id: i64,
    attempt: i16,
    words: Words,
    lease_expires_at: Timestamp,
) -> Outgoing {
    Outgoing {
        message_id,
        attempt,
        lease_expires_at,
        undelivered_after: words.undelivered_after,
        message: TemplateMessage {
            phone: words.recipient.phone().unwrap_or_default().to_owned(),
            email: words.recipient.email().unwrap_or_default().to_owned(),
            name: words.recipient.name,
            locale: words.recipient.locale,
            template: words.template,
            namespace: words.namespace,
            language: words.wording.language,
            parameters: words.wording.parameters,
            summary: words.wording.summary,
            bubble: words.wording.bubble,
            time_to_live: words.time_to_live,
        },
    }
}

/// What becomes of each candidate, in order. Asks the database three times at most, and once for each
/// label query, whatever the number of candidates, except for entities that were muted.
pub async fn decide(
    tx: &Transaction<'_>,
    site: &Site,
    watching: &Watching,
    stops: &Stops,
    candidates: &[Candidate],
) -> Result<Vec<Decision>, StageError> {
    let presents = read(tx, site, watching, candidates).await?;
    let baselines = baselines(tx, site, watching, candidates, &presents).await?;
    let now = site.clock.now();
    let cases: Vec<Case<'_>> = candidates
        .iter()
        .zip(&presents)
        .zip(&baselines)
        .map(|((candidate, present), baseline)| Case {
            watching,
            route: watching.routes.over(&candidate.channel),
            defaults: &site.config.recipient,
            candidate,
            present,
            baseline: baseline.as_deref(),
            now,
        })
        .collect();
    let passed: Vec<Result<Passed, Decision>> = cases.iter().map(Case::gates).collect();
    let names = names(tx, watching, &cases, &passed).await?;
    let phones: Vec<&str> =
        passed.iter().flatten().filter_map(|passed| passed.recipient.phone()).collect();
    let opted_out: HashSet<String> = if phones.is_empty() {
        HashSet::new()
    } else {
        queries::compose_opt_out(tx, &phones).await?.into_iter().collect()
    };
    let decisions = cases.iter().zip(passed).map(|(case, passed)| match passed {
        Ok(passed) => match case.last_gates(&passed, &opted_out) {
            Ok(()) => case.words(passed, &names),
            Err(decision) => decision,
        },
        Err(decision) => decision,
    });
    let mut decisions: Vec<Decision> = decisions.collect();
    keep_rows(&mut decisions, presents);
    doubts::wait_for(tx, site, candidates, &mut decisions).await?;
    hold_back(tx, site, stops, candidates, &mut decisions).await?;
    Ok(decisions)
}

/// What leaves is kept as the row that was told.
fn keep_rows(decisions: &mut [Decision], presents: Vec<Present>) {
    for (decision, present) in decisions.iter_mut().zip(presents) {
        if let Decision::Send(words) = decision {
            words.told_row = present.row;
        }
    }
}

/// The names of the rows that the foreign keys of those past the gates point to, now and as told.
async fn names(
    tx: &Transaction<'_>,
    watching: &Watching,
    cases: &[Case<'_>],
    passed: &[Result<Passed, Decision>],
) -> Result<Arc<ByColumn>, StageError> {
    if watching.lookups.is_empty() {
        return Ok(Arc::default());
    }
    let cases = cases.iter().zip(passed).filter(|(_, passed)| passed.is_ok());
    let rows = cases.flat_map(|(case, _)| case.rows());
    let found = lookups::find(tx, &watching.lookups, rows).await;
    found.map(Arc::new).map_err(|source| StageError::Read { watch: watching.name.clone(), source })
}

async fn read(
    tx: &Transaction<'_>,
    site: &Site,
    watching: &Watching,
    candidates: &[Candidate],
) -> Result<Vec<Present>, StageError> {
    let captured: Vec<Cow<'_, Row>> =
        candidates.iter().map(|candidate| candidate.known(&watching.table.key)).collect();
    let wanted: Vec<Wanted<'_>> = candidates
        .iter()
        .zip(&captured)
        .map(|(candidate, captured)| Wanted {
            message_id: candidate.message_id,
            entity_key: &candidate.entity_key,
            fallback_of: candidate.fallback_of,
            captured,
        })
        .collect();
    // All of them go by the same channel.
    let channel = candidates.first().map_or("", |candidate| candidate.channel.as_str());
    rows::read(tx, watching.sql_for(&site.config, channel), &watching.table, &wanted)
        .await
        .map_err(|source| StageError::Read { watch: watching.name.clone(), source })
}

/// What each recipient was last told: the last message that left, overlaid with what was muted
/// since; without one, the row before the first change that we know of.
async fn baselines<'a>(
    tx: &Transaction<'_>,
    site: &Site,
    watching: &Watching,
    candidates: &'a [Candidate],
    presents: &'a [Present],
) -> Result<Vec<Option<Cow<'a, Row>>>, StageError> {
    let mut baselines = Vec::with_capacity(candidates.len());
    for (candidate, present) in candidates.iter().zip(presents) {
        baselines.push(baseline_of(tx, &site.config, watching, candidate, &present.told).await?);
    }
    Ok(baselines)
}
