//! A channel sender: everything of this process that belongs to one channel. Whether this process may send on it,
//! how many messages may leave it now, and the queue from those that lease messages to those that send them.
//!
//! Nothing here is remembered: what is in a channel sender when the process dies stands in the database as
//! leased messages with an open attempt.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};

use crate::clock::Clock;
use crate::domain::limit::answers::AnswerRow;
use crate::domain::limit::circuit::CircuitKey;
use crate::domain::message::attempt::AttemptResult;
use crate::domain::message::outgoing::Outgoing;
use crate::pipeline::context::counters::ChannelCounters;
use crate::provider::limiter::Limiter;

/// How long to wait for a ring that is sure to come.
const RING_COMES: Duration = Duration::from_secs(1);

/// What sends on one channel.
pub struct ChannelSender {
    pub channel: String,
    pub limiter: Limiter,
    pub counts: ChannelCounters,
    clock: Clock,
    /// How many messages may be leased by this process at once.
    slots: usize,
    taken: AtomicUsize,
    outbox: mpsc::UnboundedSender<Outgoing>,
    /// Rings when messages may be due earlier than compose thinks.
    changed: Notify,
    /// Rings when slots became free.
    freed: Notify,
    /// When the first of the messages is due that this process has put off, also while that is not committed yet.
    due_at: Mutex<Option<Timestamp>>,
    stopped_until: Mutex<Option<Timestamp>>,
    held_lease: Mutex<Option<HeldLease>>,
    /// Nothing more is leased: another daemon is to send on the channel once what is in flight is settled.
    is_leaving: AtomicBool,
    /// The rate did not let through all that wanted to leave.
    is_short: AtomicBool,
    /// Messages wait for the rate, so that new ones must not pass them.
    is_crowded: AtomicBool,
    /// Messages that were accepted since a receipt of the channel came in last, and since when there are some.
    unheard: Mutex<Option<(usize, Timestamp)>>,
    answers: Mutex<AnswerRow>,
    /// Circuits that are stopped: leased messages that depend on them are given back.
    blocks: Mutex<Vec<CircuitKey>>,
}

/// The right to send on a channel: which time that it was given to somebody, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLease {
    pub epoch: i64,
    pub until: Timestamp,
}

impl ChannelSender {
    /// A channel sender and the end of it that deliver reads. The outbox needs no bound of its own: only
    /// admitted messages enter it.
    pub fn new(
        channel: &str,
        limiter: Limiter,
        slots: usize,
        clock: Clock,
    ) -> (ChannelSender, mpsc::UnboundedReceiver<Outgoing>) {
        let (outbox, inbox) = mpsc::unbounded_channel();
        let channel_sender = ChannelSender {
            channel: channel.to_owned(),
            counts: ChannelCounters::new(channel),
            clock,
            limiter,
            slots,
            taken: AtomicUsize::new(0),
            outbox,
            changed: Notify::new(),
            freed: Notify::new(),
            due_at: Mutex::new(None),
            stopped_until: Mutex::new(None),
            held_lease: Mutex::new(None),
            is_leaving: AtomicBool::new(false),
            is_short: AtomicBool::new(false),
            is_crowded: AtomicBool::new(false),
            unheard: Mutex::default(),
            answers: Mutex::default(),
            blocks: Mutex::default(),
        };
        (channel_sender, inbox)
    }

    /// Takes the right to send up to `want` messages now; `give_back` returns what was not used.
    pub fn admit(&self, want: usize) -> usize {
        let want = want.min(self.free_slots());
        if want == 0 || self.is_shut() {
            return 0;
        }
        let admitted = self.limiter.lease(want);
        self.is_short.store(admitted < want, Ordering::Relaxed);
        self.taken.fetch_add(admitted, Ordering::Relaxed);
        admitted
    }

    /// The same for messages that are new. They do not pass those that wait for the rate, and where the
    /// rate does not let all of them through, they wait as well, for compose to take all watches in turn.
    pub fn admit_new(&self, want: usize) -> usize {
        let want = want.min(self.free_slots());
        if want == 0 || self.is_shut() || self.is_crowded.load(Ordering::Relaxed) {
            return 0;
        }
        if !self.limiter.lease_all(want) {
            self.is_crowded.store(true, Ordering::Relaxed);
            return 0;
        }
        self.taken.fetch_add(want, Ordering::Relaxed);
        want
    }

    /// Whether the last batch of due messages was as large as was admitted.
    pub fn was_full(&self, is_full: bool) {
        let is_short = self.is_short.load(Ordering::Relaxed);
        self.is_crowded.store(is_full && is_short, Ordering::Relaxed);
    }

    fn is_shut(&self) -> bool {
        !self.is_leased() || self.is_leaving() || self.stopped_for().is_some()
    }

    /// Whether another daemon is to send on the channel soon.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    pub fn set_leaving(&self, is_leaving: bool) {
        self.is_leaving.store(is_leaving, Ordering::Relaxed);
    }

    /// This process may send on the channel until then.
    pub fn hold(&self, held_lease: HeldLease) {
        *lock(&self.held_lease) = Some(held_lease);
    }

    /// Somebody else may. Returns whether this process could before.
    pub fn drop_lease(&self) -> bool {
        lock(&self.held_lease).take().is_some()
    }

    /// The right to send as it was given last, whether or not it has run out.
    pub fn held_lease(&self) -> Option<HeldLease> {
        *lock(&self.held_lease)
    }

    /// Whether this process may send on the channel now.
    pub fn is_leased(&self) -> bool {
        self.held_lease().is_some_and(|held_lease| self.clock.now() < held_lease.until)
    }

    /// How many more messages this process may lease at once.
    pub fn free_slots(&self) -> usize {
        self.slots.saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    /// Gives back what was admitted and not used.
    pub fn give_back(&self, count: usize) {
        if count > 0 {
            self.limiter.withdraw(count);
            self.release(count);
        }
    }

    /// Gives back the slots of messages that are settled.
    pub fn release(&self, count: usize) {
        if count > 0 {
            self.taken.fetch_sub(count, Ordering::Relaxed);
            self.freed.notify_one();
        }
    }

    /// How long until something may be admitted. When only slots are missing, their release rings.
    pub fn next_in(&self) -> Duration {
        let slots_free = self.free_slots() > 0 && !self.is_leaving();
        self.stopped_for().unwrap_or_else(|| match slots_free {
            true => self.limiter.next_in(),
            false => RING_COMES,
        })
    }

    /// Sends leased messages on their way.
    pub fn push(&self, outgoing: Outgoing) {
        // The receiver lives as long as deliver; after it only the lease tells of the message.
        let _ = self.outbox.send(outgoing);
    }

    /// Messages may be due earlier than it seemed.
    pub fn ring(&self) {
        self.changed.notify_one();
    }

    /// A message will be due then, earlier perhaps than the last look at the queue said.
    pub fn put_off(&self, due_at: Timestamp) {
        let now = self.clock.now();
        let mut known = lock(&self.due_at);
        *known = known.filter(|known| *known > now).map_or(Some(due_at), |k| Some(k.min(due_at)));
        drop(known);
        self.ring();
    }

    /// How long until the first of them is due. What is past is not told again: the queue is looked at by then.
    pub fn next_due_in(&self) -> Option<Duration> {
        let now = self.clock.now();
        let known = lock(&self.due_at).filter(|known| *known > now)?;
        Some(known.duration_since(now).unsigned_abs())
    }

    /// Waits for `ring`.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits for `release`.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    /// The provider has accepted messages.
    pub fn note_accepted(&self, count: usize) {
        let now = self.clock.now();
        let mut unheard = lock(&self.unheard);
        let (before, since) = unheard.unwrap_or((0, now));
        *unheard = Some((before + count, since));
    }

    /// A request to the provider came to its end.
    pub fn note_answer(&self, result: &AttemptResult) {
        match result {
            AttemptResult::Accepted { .. } | AttemptResult::Refused { .. } => {
                lock(&self.answers).answered();
            }
            AttemptResult::Unknown => lock(&self.answers).unanswered(self.clock.steady()),
            // Nobody was asked.
            AttemptResult::Unreached | AttemptResult::NotSent | AttemptResult::DryRun => {}
        }
    }

    /// How many requests in a row had no answer, where that goes on.
    pub fn mute(&self) -> Option<usize> {
        lock(&self.answers).mute(self.clock.steady())
    }

    /// Whether an answer of this kind is worth a line of the log; then, how many before it were not.
    pub fn line(&self, kind: &'static str) -> Option<usize> {
        lock(&self.answers).line(kind, self.clock.steady())
    }

    /// A receipt of the channel came in.
    pub fn note_heard(&self) {
        *lock(&self.unheard) = None;
    }

    /// How many messages were accepted since a receipt came in last, and when the first of them was.
    pub fn unheard(&self) -> Option<(usize, Timestamp)> {
        *lock(&self.unheard)
    }

    /// Nothing leaves for a while: the provider refused the channel as a whole, or asked to slow down.
    pub fn stop_for(&self, time: Duration) {
        let until = self.clock.steady() + time;
        *lock(&self.stopped_until) = Some(until);
    }

    /// A circuit was stopped.
    pub fn block(&self, key: CircuitKey) {
        let mut blocks = lock(&self.blocks);
        if !blocks.contains(&key) {
            blocks.push(key);
        }
    }

    /// A circuit sends again, or one message of it.
    pub fn go_on(&self, key: &CircuitKey) {
        lock(&self.blocks).retain(|blocked| blocked != key);
    }

    /// The circuits that are stopped now.
    pub fn set_blocks(&self, blocks: Vec<CircuitKey>) {
        *lock(&self.blocks) = blocks;
    }

    /// Whether a leased message must not leave any more.
    pub fn is_blocked(&self, template: &str, language: &str) -> bool {
        lock(&self.blocks).iter().any(|key| {
            key.template
                .as_ref()
                .is_none_or(|(t, l)| (t.as_str(), l.as_str()) == (template, language))
        })
    }

    fn stopped_for(&self) -> Option<Duration> {
        let mut until = lock(&self.stopped_until);
        let left = Duration::try_from(self.clock.steady().duration_until((*until)?)).ok();
        match left {
            Some(left) if !left.is_zero() => Some(left),
            _ => {
                *until = None;
                None
            }
        }
    }

    /// Messages leased by this process and not settled yet.
    pub fn in_flight(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere must not stop the channel sender; the value is valid at every line.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
