//! compose: gives due messages their words and their lease.
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

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::domain::limit::circuit::CircuitKey;
use crate::domain::message::decision::Decision;
use crate::domain::message::message::Message;
use crate::domain::message::outgoing::Outgoing;
use crate::domain::message::state::{Failure, WaitsFor};
use crate::pipeline::compose::digest;
use crate::pipeline::compose::fair_queue::FairQueue;
use crate::pipeline::context::channel_sender::ChannelSender;
use crate::pipeline::context::context::{CompiledWatch, Context};
use crate::pipeline::context::read_fault::{RowFault, noted};
use crate::pipeline::context::stage::{Progress, Stage, StageError, chain};
use crate::pipeline::gate::blockers::{Blockers, SendPermission, try_one};
use crate::pipeline::gate::decide::decide;
use crate::pipeline::gate::row_errors::one_by_one;
use crate::pipeline::gate::{fallback_channel, outcome};
use crate::postgres::queries;

/// The longest rest: another daemon may have put messages into the queue.
const LONGEST_REST: Duration = Duration::from_secs(15);

/// How long a message of a watch that cannot be used waits before it is looked at again.
const BROKEN_WAIT: Duration = Duration::from_secs(30);

/// How long the rows of a watch are read one by one after one of them could not be read.
const ROW_BY_ROW_FOR: Duration = Duration::from_secs(60);

/// Composes the due messages of one channel sender.
pub struct Compose {
    context: Arc<Context>,
    channel_sender: Arc<ChannelSender>,
    fair_queue: FairQueue,
    /// The channel sender let nothing through at the last step: no slot, no permit, or it is stopped.
    is_shut: bool,
    /// When to look again whether messages of this channel may leave.
    shut_until: Option<Timestamp>,
    /// As of the last look.
    paused_watches: Vec<String>,
    /// Watches whose batch failed on the data of some row: until then their rows are read one by one.
    row_by_row: HashMap<String, Timestamp>,
    /// How many messages to take while one is looked for that cannot be written.
    at_most: Option<usize>,
    /// Why the next one cannot be written: it fails.
    unwritable: Option<String>,
}

impl Compose {
    pub fn new(context: Arc<Context>, channel_sender: Arc<ChannelSender>) -> Compose {
        Compose {
            fair_queue: FairQueue::new(&context, &channel_sender.channel),
            context,
            channel_sender,
            is_shut: false,
            shut_until: None,
            paused_watches: Vec::new(),
            row_by_row: HashMap::new(),
            at_most: None,
            unwritable: None,
        }
    }
}

impl Stage for Compose {
    const NAME: &'static str = "compose";

    /// Composes one batch of due messages.
    async fn step(&mut self) -> Result<Progress, StageError> {
        let admitted = self.channel_sender.admit(self.context.config.delivery.batch);
        self.is_shut = admitted == 0;
        if self.is_shut {
            return Ok(Progress::Idle);
        }
        let limit = admitted.min(self.at_most.unwrap_or(usize::MAX));
        let is_alone = self.unwritable.is_some();
        let sent = match self.batch(limit).await {
            Err(error) if error.is_of_a_value() && !is_alone => {
                self.narrow(&error, limit);
                Ok((Progress::Worked, 0))
            }
            Ok((Progress::Worked, leased)) => {
                let whole = self.context.config.delivery.batch;
                self.at_most = self.at_most.map(|most| most * 2).filter(|most| *most < whole);
                Ok((Progress::Worked, leased))
            }
            sent => sent,
        };
        let leased = sent.as_ref().map_or(0, |(_, leased)| *leased);
        self.channel_sender.give_back(admitted - leased);
        sent.map(|(progress, _)| progress)
    }

    async fn rest(&mut self, last: Progress, stop: &CancellationToken) {
        if last == Progress::Worked {
            return;
        }
        let is_leased = self.channel_sender.is_leased();
        if is_leased && self.is_shut {
            return tokio::select! {
                () = stop.cancelled() => {}
                () = self.channel_sender.freed() => {}
                () = tokio::time::sleep(self.channel_sender.next_in()) => {}
            };
        }
        let time = match self.shut_until {
            _ if !is_leased => LONGEST_REST,
            Some(until) => until.duration_since(self.context.clock.now()).unsigned_abs(),
            None => self.until_due().await.unwrap_or(LONGEST_REST),
        };
        let time = self.channel_sender.next_due_in().map_or(time, |due| due.min(time));
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.channel_sender.changed() => {}
            () = tokio::time::sleep(time.min(LONGEST_REST)) => {}
        }
    }
}

impl Compose {
    /// One message that cannot be written must not keep the others: fewer are taken, until it is alone and fails alone.
    fn narrow(&mut self, error: &StageError, limit: usize) {
        match limit {
            0 | 1 => self.unwritable = Some(chain(error)),
            _ => self.at_most = Some(limit / 2),
        }
    }

    async fn batch(&mut self, limit: usize) -> Result<(Progress, usize), StageError> {
        let (now, steady) = (self.context.clock.now(), self.context.clock.steady());
        let mut client = self.context.pool.get().await?;
        let tx = client.transaction().await?;
        let channel = self.channel_sender.channel.clone();
        let blockers = Blockers::read(&tx, &self.context, &[&channel]).await?;
        blockers.announce(&self.context, &[&channel]);
        self.paused_watches.clone_from(&blockers.paused_watches);
        let permission = blockers.permission(&channel, now);
        self.shut_until = permission.shut_until();
        let limit = match permission {
            SendPermission::Free => limit,
            SendPermission::Try => 1,
            SendPermission::Shut(_) => return Ok((Progress::Idle, 0)),
        };
        if self.fair_queue.is_due(steady) {
            self.fair_queue.begin(steady, queries::compose::compose_watches(&tx, &channel).await?);
        }
        let watches = self.fair_queue.next(&self.paused_watches);
        let due = queries::compose::compose_due(&tx, &channel, now, &watches, limit).await?;
        drop(watches);
        self.channel_sender.was_full(due.len() >= limit);
        if due.is_empty() {
            // Messages that become due later than others but with an earlier due_at wait for the
            // next full scan; those put off by this process ring the channel sender.
            return Ok((Progress::Idle, 0));
        }
        let reached = FairQueue::reached(&due);
        let (mut messages, served) = self.decide_all(&tx, &blockers, due, limit).await?;
        if let Some(why) = self.unwritable.take() {
            for message in &mut messages {
                Decision::Fail(Failure::Unwritable, why.clone()).apply_to(message);
            }
        }
        let first = messages.iter().find(|message| message.is_requested());
        let first = first.and_then(|message| message.message_id);
        if let (SendPermission::Try, Some(message_id)) = (permission, first)
            && !try_one(&tx, &self.context, &CircuitKey::channel(&channel), message_id).await?
        {
            return Ok((Progress::Idle, 0));
        }
        let lease = self.context.lease(now, self.context.config.is_dry_run(&channel));
        // Messages that further recipients of an entity get come after those that were due.
        messages.sort_by_key(|message| message.message_id.is_none());
        let due = messages.partition_point(|message| message.message_id.is_some());
        let mut attempts: HashMap<i64, i16> =
            queries::compose::compose_write(&tx, &messages[..due], lease)
                .await?
                .into_iter()
                .collect();
        if due < messages.len() {
            queries::claim::claim_write(&tx, &mut messages[due..], lease).await?;
            let first = |message: &Message| message.message_id.map(|id| (id, 1));
            attempts.extend(messages[due..].iter().filter_map(first));
        }
        fallback_channel::schedule(&tx, &self.context, &messages).await?;
        outcome::assume(&tx, &messages).await?;
        tx.commit().await?;
        self.fair_queue.advance(reached, &served);
        let leased = messages.iter().filter(|message| message.is_requested()).count();
        let mut carried = digest::carried(&messages, &attempts);
        for message in messages {
            let attempt = message.message_id.and_then(|id| attempts.get(&id)).copied();
            match attempt.filter(|_| message.is_requested()) {
                Some(attempt) => {
                    let carries = message.message_id.and_then(|id| carried.remove(&id));
                    let carries = carries.unwrap_or_default();
                    let outgoing = Outgoing::new(message, attempt, lease.expires_at, carries);
                    outgoing.into_iter().for_each(|outgoing| self.channel_sender.push(outgoing));
                }
                None if message.words.is_some() => {}
                None => self.context.counts.became(&message.watch, &channel, message.state),
            }
        }
        Ok((Progress::Worked, leased))
    }

    /// What becomes of due messages, and how many of each watch leave.
    async fn decide_all(
        &mut self,
        tx: &Transaction<'_>,
        blockers: &Blockers,
        due: Vec<Message>,
        limit: usize,
    ) -> Result<(Vec<Message>, Vec<(String, usize)>), StageError> {
        let mut by_watch: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for message in due {
            by_watch.entry(message.watch.clone()).or_default().push(message);
        }
        let (mut decided, mut served) = (Vec::new(), Vec::new());
        let mut room = limit;
        for (watch, messages) in by_watch {
            let messages = self.decide_watch(tx, blockers, &watch, messages, room).await?;
            let leaves = messages.iter().filter(|message| message.is_requested()).count();
            room = room.saturating_sub(leaves);
            served.push((watch, leaves));
            decided.extend(messages);
        }
        Ok((decided, served))
    }

    async fn decide_watch(
        &mut self,
        tx: &Transaction<'_>,
        blockers: &Blockers,
        watch: &str,
        mut messages: Vec<Message>,
        limit: usize,
    ) -> Result<Vec<Message>, StageError> {
        let compiled = match self.context.compiled(watch).await? {
            Ok(compiled) => compiled,
            Err(why) => {
                let due_at = self.context.clock.now() + BROKEN_WAIT;
                let why = format!("the watch cannot be used: {why}");
                for message in &mut messages {
                    Decision::defer(due_at, WaitsFor::Watch, why.clone()).apply_to(message);
                }
                return Ok(messages);
            }
        };
        let now = self.context.clock.now();
        let is_row_by_row = self.row_by_row.get(watch).is_some_and(|until| now < *until);
        let decided = match is_row_by_row {
            true => one_by_one(tx, &self.context, &compiled, blockers, messages, limit).await,
            false => self.decide_together(tx, &compiled, blockers, messages, limit).await,
        };
        // The batch is rolled back. Next time the watch is looked up anew, or goes without the label query at fault,
        // or its rows are read one by one, so that the row at fault fails alone.
        let fault = decided.as_ref().err().and_then(|error| noted(&self.context, error));
        if let Some((_, RowFault::Row | RowFault::Slow)) = fault {
            self.row_by_row.insert(watch.to_owned(), now + ROW_BY_ROW_FOR);
        }
        decided
    }

    /// Those of a digest with what is soon due for the same recipients.
    async fn decide_together(
        &self,
        tx: &Transaction<'_>,
        compiled: &CompiledWatch,
        blockers: &Blockers,
        mut messages: Vec<Message>,
        limit: usize,
    ) -> Result<Vec<Message>, StageError> {
        if compiled.config.digest.is_some() {
            let channel = &self.channel_sender.channel;
            messages = digest::gather(tx, &self.context, compiled, channel, messages).await?;
        }
        decide(tx, &self.context, compiled, blockers, messages, limit).await
    }

    async fn until_due(&self) -> Result<Duration, StageError> {
        let client = self.context.pool.get().await?;
        let watches: Vec<&str> =
            self.fair_queue.next(&self.paused_watches).iter().map(|turn| turn.watch).collect();
        let next =
            queries::compose::compose_next_due(&client, &self.channel_sender.channel, &watches)
                .await?;
        let Some(next) = next else {
            return Ok(LONGEST_REST);
        };
        let left = Duration::try_from(self.context.clock.now().duration_until(next));
        Ok(left.unwrap_or(Duration::ZERO))
    }
}
